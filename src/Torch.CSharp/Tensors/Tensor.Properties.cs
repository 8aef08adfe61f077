using static TorchSharp.TorchNative;

namespace TorchSharp;

public static partial class torch
{
    public unsafe partial class Tensor
    {
        public long Dimensions => Alive(tn_tensor_dimensions(Handle));

        public long dim() => Dimensions;

        public long ndim => Dimensions;

        public long NumberOfElements => Alive(tn_tensor_elements(Handle));

        public long numel() => NumberOfElements;

        public long ElementSize => Alive(tn_tensor_element_size(Handle));

        public long element_size() => ElementSize;

        public ScalarType dtype => (ScalarType)Alive(tn_tensor_dtype(Handle));

        public DeviceType device_type => (DeviceType)Alive(tn_tensor_device_type(Handle));

        public int device_index => Alive(tn_tensor_device_index(Handle));

        public Device device => device_type == DeviceType.CPU ? new Device(DeviceType.CPU) : new Device(device_type, device_index);

        public bool is_cuda => device_type == DeviceType.CUDA;

        public bool is_meta => device_type == DeviceType.META;

        public bool is_cpu() => device_type == DeviceType.CPU;

        public bool is_sparse => Alive(tn_tensor_is_sparse(Handle)) != 0;

        public bool is_contiguous() => Alive(tn_tensor_is_contiguous(Handle)) != 0;

        public bool is_pinned() => Alive(tn_tensor_is_pinned(Handle)) != 0;

        public bool is_integral() => torch.is_integral(dtype);

        public bool is_floating_point() => torch.is_floating_point(dtype);

        public bool is_complex() => torch.is_complex(dtype);

        public bool is_quantized() => torch.is_quantized(dtype);

        public long[] shape => size();

        public long[] size()
        {
            var sizes = new long[Dimensions];
            fixed (long* pointer = sizes)
                Check(Alive(tn_tensor_sizes(Handle, pointer)));
            return sizes;
        }

        public long size(int dim) => Aten.CallLong("size.int", this, dim);

        public long[] stride()
        {
            var strides = new long[Dimensions];
            fixed (long* pointer = strides)
                Check(Alive(tn_tensor_strides(Handle, pointer)));
            return strides;
        }

        public long stride(int dim) => Aten.CallLong("stride.int", this, dim);

        public long storage_offset()
        {
            var offset = Alive(tn_tensor_storage_offset(Handle));
            if (offset < 0)
                ThrowLastError();
            return offset;
        }

        /// <summary>How often the tensor was changed in place: what autograd compares.</summary>
        internal long Version => Alive(tn_tensor_version(Handle));

        /// <summary>The first element's address; 0 for a tensor without elements.</summary>
        internal nint DataPointer
        {
            get
            {
                var pointer = (nint)tn_tensor_data(Handle);
                if (pointer == 0 && LastError().Length > 0)
                    ThrowLastError();
                GC.KeepAlive(this);
                return pointer;
            }
        }

        /// <summary>Keeps this object, and so its handle, until the native call that gave the value is over.</summary>
        private T Alive<T>(T value)
        {
            GC.KeepAlive(this);
            return value;
        }
    }
}
