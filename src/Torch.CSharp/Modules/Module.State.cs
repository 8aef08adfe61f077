namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <content>The state of a module as a dictionary, and TorchSharp's own file format for it.</content>
        public partial class Module
        {
            /// <summary>All parameters and persistent buffers by dotted name; the tensors are the module's own, not copies.</summary>
            public virtual Dictionary<string, Tensor> state_dict(Dictionary<string, Tensor>? destination = null, string? prefix = null)
            {
                destination ??= [];
                string Key(string component) => string.IsNullOrEmpty(prefix) ? component : $"{prefix}.{component}";
                foreach (var (component, parameter) in named_parameters())
                    destination.TryAdd(Key(component), parameter);
                foreach (var (component, buffer) in named_buffers(include_nonpersistent: false))
                    destination.TryAdd(Key(component), buffer);
                foreach (var (component, child) in _internal_submodules)
                    child.state_dict(destination, Key(component));
                return destination;
            }

            /// <summary>Copies the values of <paramref name="source"/> into the module's own tensors of the same names.</summary>
            /// <returns>The names the source lacks, and those only the source has.</returns>
            /// <exception cref="InvalidOperationException"><paramref name="strict"/> and the names differ.</exception>
            public virtual (IList<string> missing_keys, IList<string> unexpected_keyes) load_state_dict(Dictionary<string, Tensor> source, bool strict = true, IList<string>? skip = null)
            {
                var skipped = new HashSet<string>(skip ?? []);
                var destination = state_dict();
                var unexpected = source.Keys.Where(key => !skipped.Contains(key) && !destination.ContainsKey(key)).ToList();
                var missing = destination.Keys.Where(key => !skipped.Contains(key) && !source.ContainsKey(key)).ToList();
                if (strict && (missing.Count > 0 || unexpected.Count > 0))
                    throw new InvalidOperationException(
                        $"The state does not fit {GetName()}: missing [{string.Join(", ", missing)}], unexpected [{string.Join(", ", unexpected)}]; pass strict: false to load what fits.");
                using (no_grad())
                    foreach (var (key, value) in source)
                        if (!skipped.Contains(key) && destination.TryGetValue(key, out var target))
                            target.copy_(value);
                return (missing, unexpected);
            }

            /// <summary>Writes the parameters and buffers to a file.</summary>
            public Module save(string location, IList<string>? skip = null)
            {
                using var stream = File.Create(location);
                return save(stream, skip);
            }

            /// <summary>Writes the parameters and buffers.</summary>
            public Module save(BinaryWriter writer, IList<string>? skip = null)
            {
                save_state_dict(writer, state_dict(), skip);
                return this;
            }

            /// <summary>Writes the parameters and buffers, and closes the stream.</summary>
            public Module save(Stream stream, IList<string>? skip = null)
            {
                using var writer = new BinaryWriter(stream);
                return save(writer, skip);
            }

            /// <summary>Writes a dictionary of tensors: their number, then each name with its tensor.</summary>
            public static void save_state_dict(BinaryWriter writer, Dictionary<string, Tensor> sd, IList<string>? skip = null)
            {
                var kept = sd.Where(entry => skip is null || !skip.Contains(entry.Key)).ToList();
                writer.Write7BitEncodedInt64(kept.Count);
                foreach (var (key, tensor) in kept)
                {
                    writer.Write(key);
                    tensor.Save(writer);
                }
            }

            /// <summary>Reads the parameters and buffers from a file.</summary>
            /// <exception cref="FileNotFoundException">There is no such file.</exception>
            public virtual Module load(string location, bool strict = true, IList<string>? skip = null, Dictionary<string, bool>? loadedParameters = null)
            {
                using var stream = File.OpenRead(location);
                return load(stream, strict, skip, loadedParameters);
            }

            /// <summary>Reads the parameters and buffers.</summary>
            /// <param name="reader">Where to read.</param>
            /// <param name="strict">Whether the names must be exactly the module's.</param>
            /// <param name="skip">Names to read over, leaving the module's tensors as they are.</param>
            /// <param name="loadedParameters">Receives every name in the file and whether the module has it.</param>
            /// <exception cref="ArgumentException"><paramref name="strict"/> and the names differ, or a tensor does not fit.</exception>
            public virtual Module load(BinaryReader reader, bool strict = true, IList<string>? skip = null, Dictionary<string, bool>? loadedParameters = null)
            {
                var destination = state_dict();
                var entries = reader.Read7BitEncodedInt64();
                if (strict && entries != destination.Count)
                    throw new ArgumentException($"The file holds {entries} tensors, {GetName()} has {destination.Count}; pass strict: false to load what fits.");
                for (var entry = 0L; entry < entries; entry++)
                {
                    var key = reader.ReadString();
                    var known = destination.TryGetValue(key, out var target);
                    if (!known && strict)
                        throw new ArgumentException($"The file holds a tensor '{key}', which {GetName()} does not have; pass strict: false to skip it.");
                    if (known && skip?.Contains(key) is not true)
                        target!.Load(reader);
                    else
                        TensorExtensionMethods.Load(reader, skip: true);
                    loadedParameters?.Add(key, known);
                }
                return this;
            }

            /// <summary>Reads the parameters and buffers, and closes the stream.</summary>
            public Module load(Stream stream, bool strict = true, IList<string>? skip = null, Dictionary<string, bool>? loadedParameters = null)
            {
                using var reader = new BinaryReader(stream);
                return load(reader, strict, skip, loadedParameters);
            }

            /// <summary>Makes a module and reads its parameters and buffers from a file.</summary>
            public static Module Create<T>(string path) where T : Module, new() => new T().load(path);
        }
    }
}
