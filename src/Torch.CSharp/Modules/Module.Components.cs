using System.Reflection;
using TorchSharp.Modules;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <content>The parts of a module: how they are registered, found and enumerated.</content>
        public partial class Module
        {
            protected OrderedDict<string, Module> _internal_submodules = new();
            protected OrderedDict<string, (Tensor, bool)> _internal_buffers = new();
            protected OrderedDict<string, Parameter> _internal_params = new();
            private bool _areComponentsRegistered;

            /// <summary>Registers every field that holds a module, a parameter or a tensor and is not yet registered.</summary>
            protected virtual void RegisterComponents()
            {
                if (_areComponentsRegistered)
                    return;
                foreach (var field in ComponentFields(GetType()))
                {
                    var component = field.ComponentName();
                    if (_internal_submodules.ContainsKey(component) || _internal_params.ContainsKey(component)
                        || _internal_buffers.ContainsKey(component))
                        continue;
                    switch (field.GetValue(this))
                    {
                        case Module module:
                            register_module(component, module);
                            break;
                        case Parameter parameter:
                            register_parameter(component, parameter);
                            break;
                        case Tensor tensor:
                            register_buffer(component, tensor);
                            break;
                    }
                }
                _areComponentsRegistered = true;
            }

            // Private fields are only seen on the type that declares them, hence the walk; the most derived of a name wins.
            private static IEnumerable<FieldInfo> ComponentFields(Type type)
            {
                const BindingFlags fields = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance;
                var seen = new HashSet<string>();
                for (Type? current = type; current is not null && current != typeof(object); current = current.BaseType)
                    foreach (var field in current.GetFields(fields))
                        if (seen.Add(field.Name))
                            yield return field;
            }

            /// <summary>Adds a tensor that is part of the module's state and is not trained.</summary>
            /// <exception cref="ArgumentNullException">The tensor is null or already disposed.</exception>
            /// <exception cref="InvalidOperationException">The name is taken.</exception>
            public virtual void register_buffer(string name, Tensor tensor, bool persistent = true)
            {
                if (tensor is null || tensor.IsInvalid)
                    throw new ArgumentNullException(nameof(tensor), $"Buffer '{name}' of {GetName()} is null or disposed; a live tensor is needed.");
                if (!_internal_buffers.TryAdd(name, (tensor, persistent)))
                    throw new InvalidOperationException($"Buffer '{name}' is already registered in {GetName()}.");
            }

            /// <summary>Adds a trainable tensor.</summary>
            /// <exception cref="ArgumentNullException">The parameter is null or already disposed.</exception>
            /// <exception cref="InvalidOperationException">The name is taken.</exception>
            public virtual void register_parameter(string name, Parameter param)
            {
                if (param is null || param.IsInvalid)
                    throw new ArgumentNullException(nameof(param), $"Parameter '{name}' of {GetName()} is null or disposed; a live one is needed.");
                if (!_internal_params.TryAdd(name, param))
                    throw new InvalidOperationException($"Parameter '{name}' is already registered in {GetName()}.");
            }

            /// <summary>Another name of <see cref="register_module"/>.</summary>
            public void add_module(string name, Module module) => register_module(name, module);

            /// <summary>Adds a submodule; null takes the submodule of that name away.</summary>
            /// <exception cref="ArgumentException">The name is empty or has a dot.</exception>
            /// <exception cref="InvalidOperationException">The name is taken.</exception>
            public virtual void register_module(string name, Module submodule)
            {
                if (submodule is null)
                {
                    _internal_submodules.Remove(name);
                    return;
                }
                if (string.IsNullOrEmpty(name) || name.Contains('.', StringComparison.Ordinal))
                    throw new ArgumentException($"Submodule name '{name}' in {GetName()} must not be empty and must not contain a dot.", nameof(name));
                if (_internal_submodules.ContainsKey(name))
                    throw new InvalidOperationException($"Submodule '{name}' is already registered in {GetName()}.");
                submodule.RegisterComponents();
                _internal_submodules.Add(name, submodule);
            }

            /// <summary>Sets, replaces or (null) removes a parameter.</summary>
            protected void ConditionallyRegisterParameter(string name, Tensor? value)
                => ConditionallyRegisterParameter(name, value as Parameter);

            /// <summary>Sets, replaces or (null) removes a parameter.</summary>
            protected void ConditionallyRegisterParameter(string name, Parameter? value)
            {
                if (value is not null)
                    _internal_params[name] = value;
                else
                    _internal_params.Remove(name);
            }

            /// <summary>Sets, replaces or (null) removes a buffer.</summary>
            protected void ConditionallyRegisterBuffer(string name, Tensor? value, bool persistent = true)
            {
                if (value is not null)
                    _internal_buffers[name] = (value, persistent);
                else
                    _internal_buffers.Remove(name);
            }

            /// <summary>Forgets all submodules.</summary>
            protected void ClearModules() => _internal_submodules.clear();

            /// <summary>The parameters with their names, each once, the module's own before its children's.</summary>
            public virtual IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true)
            {
                var seen = new HashSet<Tensor>(ReferenceEqualityComparer.Instance);
                foreach (var (parameterName, parameter) in _internal_params)
                    if (!parameter.IsInvalid && seen.Add(parameter))
                        yield return (parameterName, parameter);
                if (!recurse)
                    yield break;
                foreach (var (childName, child) in _internal_submodules)
                    foreach (var (parameterName, parameter) in child.named_parameters(true))
                        if (!parameter.IsInvalid && seen.Add(parameter))
                            yield return ($"{childName}.{parameterName}", parameter);
            }

            /// <summary>The parameters, each once.</summary>
            public virtual IEnumerable<Parameter> parameters(bool recurse = true)
                => named_parameters(recurse).Select(named => named.parameter);

            /// <summary>The persistent buffers with their names, each once.</summary>
            /// <remarks>As in TorchSharp, buffers that are not persistent are left out whatever the second argument says.</remarks>
            public virtual IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true, bool include_nonpersistent = true)
            {
                var seen = new HashSet<Tensor>(ReferenceEqualityComparer.Instance);
                foreach (var (bufferName, (buffer, persistent)) in _internal_buffers)
                    if (persistent && !buffer.IsInvalid && seen.Add(buffer))
                        yield return (bufferName, buffer);
                if (!recurse)
                    yield break;
                foreach (var (childName, child) in _internal_submodules)
                    foreach (var (bufferName, buffer) in child.named_buffers(true, include_nonpersistent))
                        if (!buffer.IsInvalid && seen.Add(buffer))
                            yield return ($"{childName}.{bufferName}", buffer);
            }

            /// <summary>The persistent buffers, each once.</summary>
            public virtual IEnumerable<Tensor> buffers(bool recurse = true, bool include_nonpersistent = true)
                => named_buffers(recurse, include_nonpersistent).Select(named => named.buffer);

            /// <summary>The submodules one level down, with their names.</summary>
            public virtual IEnumerable<(string name, Module module)> named_children() => _internal_submodules;

            /// <summary>The submodules one level down.</summary>
            public virtual IEnumerable<Module> children() => named_children().Select(named => named.module);

            /// <summary>All submodules with their dotted names: first the children, then what is below each of them.</summary>
            public virtual IEnumerable<(string name, Module module)> named_modules()
            {
                foreach (var child in _internal_submodules)
                    yield return child;
                foreach (var (childName, child) in _internal_submodules)
                    foreach (var (moduleName, module) in child.named_modules())
                        yield return ($"{childName}.{moduleName}", module);
            }

            /// <summary>All submodules.</summary>
            public virtual IEnumerable<Module> modules() => named_modules().Select(named => named.module);

            /// <summary>Whether there is a buffer of that dotted name.</summary>
            public virtual bool has_buffer(string target)
                => _internal_buffers.ContainsKey(target)
                   || BelowFirstDot(target).Any(below => below.module.has_buffer(below.rest));

            /// <summary>Whether there is a parameter of that dotted name.</summary>
            public virtual bool has_parameter(string target)
                => _internal_params.ContainsKey(target)
                   || BelowFirstDot(target).Any(below => below.module.has_parameter(below.rest));

            /// <summary>The buffer of that dotted name, or null.</summary>
            public virtual Tensor? get_buffer(string target)
                => _internal_buffers.TryGetValue(target, out var buffer)
                    ? buffer.Item1
                    : BelowFirstDot(target).Select(below => below.module.get_buffer(below.rest)).FirstOrDefault(found => found is not null);

            /// <summary>The parameter of that dotted name, or null.</summary>
            public virtual Parameter? get_parameter(string target)
                => _internal_params.TryGetValue(target, out var parameter)
                    ? parameter
                    : BelowFirstDot(target).Select(below => below.module.get_parameter(below.rest)).FirstOrDefault(found => found is not null);

            private IEnumerable<(Module module, string rest)> BelowFirstDot(string target)
            {
                var dot = target.IndexOf('.', StringComparison.Ordinal);
                return dot < 0
                    ? []
                    : named_children().Where(child => child.name == target[..dot]).Select(child => (child.module, target[(dot + 1)..]));
            }
        }
    }
}
