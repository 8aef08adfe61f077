using TorchSharp.Utils;
using static TorchSharp.torch;

namespace TorchSharp.Modules;

/// <summary>What batch and instance normalisation share: scale, shift and running statistics of each channel.</summary>
public abstract class NormBase : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = nameof(weight))]
    private Parameter? _weight;

    [ComponentName(Name = nameof(bias))]
    private Parameter? _bias;

    [ComponentName(Name = nameof(running_mean))]
    private Tensor? _running_mean;

    [ComponentName(Name = nameof(running_var))]
    private Tensor? _running_var;

    [ComponentName(Name = nameof(num_batches_tracked))]
    private Tensor? _num_batches_tracked;

    public NormBase(long num_features, double eps, double? momentum, bool affine, bool track_running_stats, Device? device, ScalarType? dtype, string name)
        : base(name)
    {
        this.num_features = num_features;
        this.eps = eps;
        this.momentum = momentum;
        this.affine = affine;
        this.track_running_stats = track_running_stats;
        if (affine)
        {
            weight = nn.Parameter(empty([num_features], dtype, device));
            bias = nn.Parameter(empty([num_features], dtype, device));
        }
        if (track_running_stats)
        {
            running_mean = zeros([num_features], dtype, device);
            running_var = ones([num_features], dtype, device);
            num_batches_tracked = zeros([], ScalarType.Int64, device);
        }
        reset_parameters();
    }

    public long num_features { get; private set; }

    public double eps { get; set; }

    /// <summary>The share of the new batch in the running statistics; null averages over all batches alike.</summary>
    public double? momentum { get; set; }

    public bool affine { get; private set; }

    public bool track_running_stats { get; private set; }

    /// <summary>The scale of each channel.</summary>
    public Parameter weight
    {
        get => _weight!;
        set
        {
            if (ReferenceEquals(value, _weight))
                return;
            _weight?.Dispose();
            _weight = value?.DetachFromDisposeScope() as Parameter;
            ConditionallyRegisterParameter(nameof(weight), _weight);
        }
    }

    /// <summary>The shift of each channel.</summary>
    public Parameter? bias
    {
        get => _bias;
        set
        {
            if (ReferenceEquals(value, _bias))
                return;
            _bias?.Dispose();
            _bias = value?.DetachFromDisposeScope() as Parameter;
            ConditionallyRegisterParameter(nameof(bias), _bias);
        }
    }

    /// <summary>The running mean of each channel, or null.</summary>
    public Tensor? running_mean
    {
        get => _running_mean;
        set
        {
            if (ReferenceEquals(value, _running_mean))
                return;
            _running_mean?.Dispose();
            _running_mean = value?.DetachFromDisposeScope();
            ConditionallyRegisterBuffer(nameof(running_mean), _running_mean);
        }
    }

    /// <summary>The running variance of each channel, or null.</summary>
    public Tensor? running_var
    {
        get => _running_var;
        set
        {
            if (ReferenceEquals(value, _running_var))
                return;
            _running_var?.Dispose();
            _running_var = value?.DetachFromDisposeScope();
            ConditionallyRegisterBuffer(nameof(running_var), _running_var);
        }
    }

    /// <summary>How many batches the running statistics have seen, or null.</summary>
    public Tensor? num_batches_tracked
    {
        get => _num_batches_tracked;
        set
        {
            if (ReferenceEquals(value, _num_batches_tracked))
                return;
            _num_batches_tracked?.Dispose();
            _num_batches_tracked = value?.DetachFromDisposeScope();
            ConditionallyRegisterBuffer(nameof(num_batches_tracked), _num_batches_tracked);
        }
    }

    /// <summary>Forgets the running statistics: mean zero, variance one.</summary>
    public void reset_running_stats()
    {
        if (_running_mean is null || _running_var is null || _num_batches_tracked is null)
            return;
        nn.init.zeros_(_running_mean);
        nn.init.ones_(_running_var);
        nn.init.zeros_(_num_batches_tracked);
    }

    /// <summary>Forgets the running statistics and sets scale one, shift zero.</summary>
    public void reset_parameters()
    {
        reset_running_stats();
        if (_weight is not null)
            nn.init.ones_(_weight);
        if (_bias is not null)
            nn.init.zeros_(_bias);
    }

    /// <summary>Throws when the input has not the number of dimensions that the layer is for.</summary>
    protected abstract void ValidateInputDimensions(Tensor input);
}
