using System.Reflection;
using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <content>Moving a module to another device and converting it to another element type.</content>
        public partial class Module
        {
            protected DeviceType _deviceType = DeviceType.CPU;
            protected int _deviceIndex = -1;

            /// <summary>Moves and converts the parameters and buffers.</summary>
            protected internal virtual Module _to(Device device, ScalarType dtype, bool non_blocking)
            {
                RequireConvertible(dtype);
                RequireAvailable(device.type);
                if (device.type != DeviceType.CUDA)
                    device = new Device(device.type, -1);
                _toEpilog(device, dtype, non_blocking);
                return this;
            }

            /// <summary>Moves the parameters and buffers.</summary>
            protected internal virtual Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking)
            {
                RequireAvailable(deviceType);
                if (deviceType != DeviceType.CUDA)
                    deviceIndex = -1;
                if (deviceType != _deviceType || deviceIndex != _deviceIndex)
                    _toEpilog(deviceType, deviceIndex, non_blocking);
                return this;
            }

            /// <summary>Converts the parameters and buffers.</summary>
            protected internal virtual Module _to(ScalarType dtype, bool non_blocking)
            {
                RequireConvertible(dtype);
                _toEpilog(dtype, non_blocking);
                return this;
            }

            /// <summary>Moves and converts the parameters and buffers to where and what <paramref name="other"/> is.</summary>
            public Module _to(Tensor other, bool non_blocking)
            {
                _to(other.dtype, non_blocking);
                return _to(other.device_type, other.device_index, non_blocking);
            }

            protected void _toEpilog(ScalarType dtype, bool non_blocking) => _toEpilog(dtype, null, non_blocking);

            protected void _toEpilog(Device device, ScalarType dtype, bool non_blocking) => _toEpilog(dtype, device, non_blocking);

            protected void _toEpilog(DeviceType deviceType, int deviceIndex, bool non_blocking)
                => _toEpilog(null, new Device(deviceType, deviceIndex), non_blocking);

            /// <summary>Replaces the tensors of this module and of its children, in the fields and properties that hold them too.</summary>
            protected virtual void _toEpilog(ScalarType? dtype, Device? device, bool non_blocking)
            {
                foreach (var (_, child) in named_children())
                {
                    if (device is not null && dtype is not null)
                        child._to(device, dtype.Value, non_blocking);
                    else if (device is not null)
                        child._to(device.type, device.index, non_blocking);
                    else if (dtype is not null)
                        child._to(dtype.Value, non_blocking);
                }

                // Copies, since replacing changes the dictionaries.
                List<(string, Parameter)> parametersBefore = [.. _internal_params];
                List<(string, (Tensor, bool))> buffersBefore = [.. _internal_buffers];
                foreach (var (component, parameter) in parametersBefore)
                {
                    if (!ReplaceParameter(dtype, device, parameter, out var replacement))
                        continue;
                    if (PropertyOf(component) is { } property)
                    {
                        property.SetValue(this, replacement);
                        continue;
                    }
                    var field = FieldHolding(component, parameter);
                    parameter.Dispose();
                    ConditionallyRegisterParameter(component, replacement);
                    field?.SetValue(this, replacement);
                }
                foreach (var (component, (buffer, persistent)) in buffersBefore)
                {
                    if (!persistent)
                        continue;
                    var field = FieldHolding(component, buffer);
                    if (!ReplaceBuffer(dtype, device, buffer, out var replacement))
                        continue;
                    if (PropertyOf(component) is { } property)
                    {
                        property.SetValue(this, replacement);
                        continue;
                    }
                    ConditionallyRegisterBuffer(component, replacement);
                    field?.SetValue(this, replacement);
                }

                if (device is not null)
                {
                    _deviceType = device.type;
                    _deviceIndex = device.index;
                }
            }

            private PropertyInfo? PropertyOf(string component)
                => Array.Find(GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance),
                              property => property.Name == component && property.CanWrite && property.GetIndexParameters().Length == 0);

            private FieldInfo? FieldHolding(string component, Tensor held)
                => ComponentFields(GetType()).FirstOrDefault(
                    field => field.ComponentName() == component && ReferenceEquals(field.GetValue(this), held));

            /// <summary>The buffer moved and converted, or false when it already is what is asked; the old one is freed.</summary>
            /// <remarks>Only floating-point and complex buffers change their element type: counters and indices keep theirs.</remarks>
            protected static bool ReplaceBuffer(ScalarType? dtype, Device? device, Tensor buffer, out Tensor? result)
            {
                result = null;
                var targetType = dtype is { } asked && IsTrainable(buffer.dtype) ? asked : buffer.dtype;
                var targetDevice = device ?? buffer.device;
                if (targetType == buffer.dtype && SameDevice(targetDevice, buffer.device))
                    return false;
                using (no_grad())
                    result = buffer.to(targetType, targetDevice).DetachFromDisposeScope();
                buffer.Dispose();
                return true;
            }

            /// <summary>The parameter moved and converted together with its gradient, or false when it already is what is asked.</summary>
            protected static bool ReplaceParameter(ScalarType? dtype, Device? device, Parameter param, out Parameter? p)
            {
                p = null;
                var targetType = dtype is { } asked && IsTrainable(param.dtype) ? asked : param.dtype;
                var targetDevice = device ?? param.device;
                if (targetType == param.dtype && SameDevice(targetDevice, param.device))
                    return false;
                // Untracked, so that the new tensor is a leaf and keeps collecting gradients.
                using (no_grad())
                {
                    p = new Parameter(param.to(targetType, targetDevice), param.requires_grad);
                    p.DetachFromDisposeScope();
                    using var grad = param.grad;
                    if (grad is not null)
                    {
                        using var moved = grad.to(targetType, targetDevice).with_requires_grad(grad.requires_grad);
                        p.grad = moved;
                    }
                }
                return true;
            }

            // A CUDA device without an index is whichever one the tensor is on already.
            private static bool SameDevice(Device asked, Device actual)
                => asked.type == actual.type && (asked.type != DeviceType.CUDA || asked.index < 0 || asked.index == actual.index);

            private static bool IsTrainable(ScalarType dtype) => dtype is ScalarType.Float16 or ScalarType.BFloat16
                or ScalarType.Float32 or ScalarType.Float64 or ScalarType.ComplexFloat32 or ScalarType.ComplexFloat64;

            private static void RequireConvertible(ScalarType dtype)
            {
                if (!IsTrainable(dtype))
                    throw new ArgumentException($"A module can be converted to floating-point or complex types only, not to {dtype}.", nameof(dtype));
            }

            private static void RequireAvailable(DeviceType type)
            {
                if (type == DeviceType.CUDA && !cuda.is_available())
                    throw new InvalidOperationException("The module cannot be moved to CUDA: no CUDA device is available.");
            }

            /// <summary>The device and element type given, with the current defaults for what is not.</summary>
            protected static (Device device, ScalarType dtype) GetDefaultDeviceAndType(Device? device = null, ScalarType? dtype = null)
                => (device ?? get_default_device(), dtype ?? get_default_dtype());
        }
    }
}
