namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        public static partial class lr_scheduler
        {
            public static partial class impl
            {
                /// <summary>Times a factor whenever the number watched has not improved for some epochs.</summary>
                public class ReduceLROnPlateau : LRScheduler
                {
                    private readonly double _factor;
                    private readonly int _patience;
                    private readonly int _cooldown;
                    private readonly double _eps;
                    private readonly List<double> _minimal;
                    private readonly Func<double, double, bool> _better;
                    private double _best;
                    private int _cooldownLeft;
                    private int _badEpochs;

                    public ReduceLROnPlateau(Optimizer optimizer, string mode = "min", double factor = 0.1, int patience = 10, double threshold = 1e-4, string threshold_mode = "rel", int cooldown = 0, IList<double>? min_lr = null, double eps = 1e-8, bool verbose = false)
                        : base(optimizer, -1, verbose)
                    {
                        if (factor >= 1)
                            throw new ArgumentException($"The factor must be below 1; it is {factor}.", nameof(factor));
                        _better = (mode, threshold_mode) switch
                        {
                            ("min", "rel") => (now, best) => now < best * (1 - threshold),
                            ("min", "abs") => (now, best) => now < best - threshold,
                            ("max", "rel") => (now, best) => now > best * (1 + threshold),
                            ("max", "abs") => (now, best) => now > best + threshold,
                            _ => throw new ArgumentException($"The mode is min or max and its threshold rel or abs, not '{mode}' and '{threshold_mode}'.", nameof(mode)),
                        };
                        _best = mode == "min" ? double.PositiveInfinity : double.NegativeInfinity;
                        _factor = factor;
                        _patience = patience;
                        _cooldown = cooldown;
                        _eps = eps;
                        _minimal = [.. Groups.Select((_, i) => min_lr is null or [] ? 0 : min_lr.Count == 1 ? min_lr[0] : min_lr[i])];
                    }

                    public override void step(double current, int? epoch = null)
                    {
                        _last_epoch = epoch ?? _last_epoch + 1;
                        if (_better(current, _best))
                            (_best, _badEpochs) = (current, 0);
                        else
                            _badEpochs++;
                        if (_cooldownLeft > 0)
                            (_cooldownLeft, _badEpochs) = (_cooldownLeft - 1, 0);
                        if (_badEpochs <= _patience)
                            return;
                        Reduce();
                        (_cooldownLeft, _badEpochs) = (_cooldown, 0);
                    }

                    public override void step() => throw new InvalidOperationException("ReduceLROnPlateau must be told the number it watches: call step(double).");

                    public override void step(int? epoch) => step();

                    private void Reduce()
                    {
                        var groups = Groups;
                        for (var i = 0; i < groups.Count; i++)
                        {
                            var reduced = Math.Max(groups[i].LearningRate * _factor, _minimal[i]);
                            if (groups[i].LearningRate - reduced <= _eps)
                                continue;
                            groups[i].LearningRate = reduced;
                            if (_verbose)
                                Console.WriteLine($"Epoch {_last_epoch}: reducing learning rate of group {i} to {reduced:g4}.");
                        }
                    }
                }
            }
        }
    }
}
