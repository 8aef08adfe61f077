namespace TorchSharp;

public static partial class torch
{
    // Element types, devices and copies.
    public partial class Tensor
    {
        public bool is_conj() => Aten.CallBool("is_conj", this);

        public Tensor alias() => TorchNative.Own(TorchNative.tn_tensor_share(Handle));

        public Tensor bfloat16() => to_type(ScalarType.BFloat16);

        public Tensor @bool() => to_type(ScalarType.Bool);

        public Tensor @byte() => to_type(ScalarType.Byte);

        public Tensor cdouble() => to_type(ScalarType.ComplexFloat64);

        public Tensor cfloat() => to_type(ScalarType.ComplexFloat32);

        public Tensor @char() => to_type(ScalarType.Int8);

        public Tensor clone() => Aten.Call("clone", this);

        public Tensor conj() => Aten.Call("conj", this);

        public Tensor contiguous() => Aten.Call("contiguous", this);

        public Tensor copy_(Tensor source, bool nonBlocking = false)
        {
            Aten.Run("copy_", this, source, nonBlocking);
            return this;
        }

        public Tensor cpu() => to(DeviceType.CPU);

        public Tensor cuda(Device? device = null, bool non_blocking = false)
        {
            if (device is not null && device.type != DeviceType.CUDA)
                throw new ArgumentException("Not a CUDA device.", nameof(device));
            return to(device ?? CUDA, non_blocking: non_blocking);
        }

        public Tensor detach() => Aten.Call("detach", this);

        public Tensor detach_()
        {
            Aten.Run("detach_", this);
            return this;
        }

        public Tensor @double() => to_type(ScalarType.Float64);

        public Tensor fill_(Scalar value)
        {
            Aten.Run("fill_.Scalar", this, value);
            return this;
        }

        public Tensor @float() => to_type(ScalarType.Float32);

        public Tensor half() => to_type(ScalarType.Float16);

        public Tensor @int() => to_type(ScalarType.Int32);

        public Tensor @long() => to_type(ScalarType.Int64);

        public Tensor pin_memory() => Aten.Call("pin_memory", this);

        public Tensor resolve_conj() => Aten.Call("resolve_conj", this);

        public Tensor set_(Tensor source)
        {
            Aten.Run("set_.source_Tensor", this, source);
            return this;
        }

        public Tensor @short() => to_type(ScalarType.Int16);

        public Tensor to(
            DeviceType deviceType,
            int deviceIndex = -1,
            bool copy = false,
            bool disposeAfter = false,
            bool non_blocking = false) =>
            to(new Device(deviceType, deviceIndex), copy, disposeAfter, non_blocking);

        public Tensor to(string device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to(new Device(device), copy, disposeAfter, non_blocking);

        public Tensor to(Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false)
        {
            InitializeDeviceType(device.type);
            return Converted(Aten.Call("to.dtype_layout", this, Argument.None, Argument.None, device, Argument.None, non_blocking, copy), disposeAfter);
        }

        public Tensor to(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to_type(type, copy, disposeAfter, non_blocking);

        public Tensor to(
            ScalarType type,
            Device device,
            bool copy = false,
            bool disposeAfter = false,
            bool non_blocking = false)
        {
            device = InitializeDevice(device);
            return Converted(Aten.Call("to.device", this, device, type, non_blocking, copy), disposeAfter);
        }

        public Tensor to(Tensor other, bool non_blocking = false) => to(other.dtype, other.device, non_blocking);

        public Tensor to_dense() => Aten.Call("to_dense", this);

        public Tensor to_sparse() => Aten.Call("to_sparse", this);

        public Tensor to_sparse(int sparse_dim) => Aten.Call("to_sparse.sparse_dim", this, sparse_dim);

        public Tensor to_type(
            ScalarType type,
            bool copy = false,
            bool disposeAfter = false,
            bool non_blocking = false) =>
            Converted(Aten.Call("to.dtype", this, type, non_blocking, copy), disposeAfter);

        public Tensor type(Func<Tensor, Tensor> typeFunc) => typeFunc(this);

        public Tensor type(ScalarType dtype) => to(dtype);

        public Tensor type_as(Tensor tensor) => to_type(tensor.dtype);

        public Tensor zero_()
        {
            Aten.Run("zero_", this);
            return this;
        }
    }
}
