using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>Marks modules without parameters and buffers.</summary>
public interface IParameterLessModule;

/// <summary>A module of one input without parameters and buffers: there is nothing to move or convert.</summary>
public abstract class ParameterLessModule<T1, TResult> : nn.Module<T1, TResult>, IParameterLessModule
{
    protected ParameterLessModule(string name) : base(name) { }

    protected internal override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) => this;

    protected internal override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking) => this;

    protected internal override nn.Module _to(ScalarType dtype, bool non_blocking) => this;

    public override void register_buffer(string name, Tensor tensor, bool persistent = true)
        => throw new InvalidOperationException($"Buffer '{name}' cannot be registered: {GetName()} is declared to have no parameters.");

    public override void register_parameter(string name, Parameter param)
        => throw new InvalidOperationException($"Parameter '{name}' cannot be registered: {GetName()} is declared to have no parameters.");

    public override void register_module(string name, nn.Module submodule)
    {
        if (submodule is not IParameterLessModule)
            throw new InvalidOperationException($"Submodule '{name}' may have parameters, but {GetName()} is declared to have none.");
        base.register_module(name, submodule);
    }
}

/// <summary>A module of two inputs without parameters and buffers: there is nothing to move or convert.</summary>
public abstract class ParameterLessModule<T1, T2, TResult> : nn.Module<T1, T2, TResult>, IParameterLessModule
{
    protected ParameterLessModule(string name) : base(name) { }

    protected internal override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) => this;

    protected internal override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking) => this;

    protected internal override nn.Module _to(ScalarType dtype, bool non_blocking) => this;

    public override void register_buffer(string name, Tensor tensor, bool persistent = true)
        => throw new InvalidOperationException($"Buffer '{name}' cannot be registered: {GetName()} is declared to have no parameters.");

    public override void register_parameter(string name, Parameter param)
        => throw new InvalidOperationException($"Parameter '{name}' cannot be registered: {GetName()} is declared to have no parameters.");

    public override void register_module(string name, nn.Module submodule)
    {
        if (submodule is not IParameterLessModule)
            throw new InvalidOperationException($"Submodule '{name}' may have parameters, but {GetName()} is declared to have none.");
        base.register_module(name, submodule);
    }
}

/// <summary>A module of three inputs without parameters and buffers: there is nothing to move or convert.</summary>
public abstract class ParameterLessModule<T1, T2, T3, TResult> : nn.Module<T1, T2, T3, TResult>, IParameterLessModule
{
    protected ParameterLessModule(string name) : base(name) { }

    protected internal override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) => this;

    protected internal override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking) => this;

    protected internal override nn.Module _to(ScalarType dtype, bool non_blocking) => this;

    public override void register_buffer(string name, Tensor tensor, bool persistent = true)
        => throw new InvalidOperationException($"Buffer '{name}' cannot be registered: {GetName()} is declared to have no parameters.");

    public override void register_parameter(string name, Parameter param)
        => throw new InvalidOperationException($"Parameter '{name}' cannot be registered: {GetName()} is declared to have no parameters.");

    public override void register_module(string name, nn.Module submodule)
    {
        if (submodule is not IParameterLessModule)
            throw new InvalidOperationException($"Submodule '{name}' may have parameters, but {GetName()} is declared to have none.");
        base.register_module(name, submodule);
    }
}
