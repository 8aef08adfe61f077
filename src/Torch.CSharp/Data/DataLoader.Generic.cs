using System.Collections;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.utils.data;

namespace TorchSharp.Modules;

/// <summary>The examples of a dataset in batches: T is an example, S a batch.</summary>
public class DataLoader<T, S> : IEnumerable<S>, IDisposable
{
    public DataLoader(Dataset<T> dataset, int batchSize, Func<IEnumerable<T>, Device, S> collate_fn, IEnumerable<long> shuffler, Device? device = null, int num_worker = 1, bool drop_last = false, bool disposeBatch = true, bool disposeDataset = true)
    {
        this.dataset = dataset;
        batch_size = batchSize;
        this.collate_fn = collate_fn;
        sampler = shuffler;
        Device = device ?? CPU;
        num_workers = Math.Max(num_worker, 1);
        this.drop_last = drop_last;
        DisposeBatch = disposeBatch;
        DisposeDataset = disposeDataset;
    }

    public DataLoader(Dataset<T> dataset, int batchSize, Func<IEnumerable<T>, Device, S> collate_fn, bool shuffle = false, Device? device = null, int? seed = null, int num_worker = 1, bool drop_last = false, bool disposeBatch = true, bool disposeDataset = true)
        : this(dataset, batchSize, collate_fn, shuffle ? new FisherYatesShuffler(dataset.Count, seed) : InOrder(dataset.Count),
               device, num_worker, drop_last, disposeBatch, disposeDataset)
    { }

    public Dataset<T> dataset { get; }

    public int batch_size { get; }

    /// <summary>Whether an incomplete last batch is left out.</summary>
    public bool drop_last { get; }

    /// <summary>The order of the examples.</summary>
    public IEnumerable<long> sampler { get; }

    /// <summary>How many examples are read at the same time.</summary>
    public int num_workers { get; }

    /// <summary>Makes a batch of examples, on a device.</summary>
    public Func<IEnumerable<T>, Device, S> collate_fn { get; }

    public Device Device { get; }

    /// <summary>Whether the tensors of a batch are freed when the next is asked for.</summary>
    public bool DisposeBatch { get; }

    /// <summary>Whether the dataset is freed with the loader.</summary>
    public bool DisposeDataset { get; }

    /// <summary>The number of batches.</summary>
    public long Count => drop_last ? dataset.Count / batch_size : (dataset.Count + batch_size - 1) / batch_size;

    private static IEnumerable<long> InOrder(long count)
    {
        for (var i = 0L; i < count; i++)
            yield return i;
    }

    public IEnumerator<S> GetEnumerator() => new Batches(this);

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (disposing && DisposeDataset)
            dataset.Dispose();
    }

    private sealed class Batches(DataLoader<T, S> loader) : IEnumerator<S>
    {
        private IEnumerator<long> _order = loader.sampler.GetEnumerator();
        private IReadOnlyList<IDisposable> _owned = [];

        public S Current { get; private set; } = default!;

        object IEnumerator.Current => Current!;

        public bool MoveNext()
        {
            Free(_owned);
            _owned = [];
            var positions = new List<long>(loader.batch_size);
            while (positions.Count < loader.batch_size && _order.MoveNext())
                positions.Add(_order.Current);
            if (positions.Count == 0 || (loader.drop_last && positions.Count < loader.batch_size))
                return false;

            var examples = new T[positions.Count];
            var read = new IReadOnlyList<IDisposable>[positions.Count];
            // Dispose scopes belong to threads, so each example is read in a scope of its own.
            void Read(int i)
            {
                using var scope = NewDisposeScope();
                examples[i] = loader.dataset.GetTensor(positions[i]);
                read[i] = Detached(scope);
            }
            if (loader.num_workers == 1)
                for (var i = 0; i < examples.Length; i++)
                    Read(i);
            else
                Parallel.For(0, examples.Length, new ParallelOptions { MaxDegreeOfParallelism = loader.num_workers }, Read);

            using (var scope = NewDisposeScope())
            {
                Current = loader.collate_fn(examples, loader.Device);
                var owned = Detached(scope);
                if (loader.DisposeBatch)
                    _owned = owned;
            }
            foreach (var example in read)
                Free(example);
            return true;
        }

        public void Reset()
        {
            Free(_owned);
            _owned = [];
            _order.Dispose();
            _order = loader.sampler.GetEnumerator();
        }

        public void Dispose()
        {
            _order.Dispose();
            Free(_owned);
            _owned = [];
        }

        private static IReadOnlyList<IDisposable> Detached(DisposeScope scope)
        {
            var owned = scope.DisposablesView;
            scope.Detach(owned);
            return owned;
        }

        private static void Free(IReadOnlyList<IDisposable> owned)
        {
            foreach (var disposable in owned)
                disposable.Dispose();
        }
    }
}
