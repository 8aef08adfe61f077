using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        /// <summary>Changes parameters by their gradients.</summary>
        public abstract partial class Optimizer : IDisposable
        {
            /// <summary>The parameters in groups, each with its own options.</summary>
            protected IList<ParamGroup> _parameter_groups = new List<ParamGroup>();

            private protected Optimizer() { }

            ~Optimizer() => Dispose(false);

            /// <summary>Frees what the optimizer keeps for each parameter.</summary>
            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing) { }

            /// <summary>Fills the gradients of all parameters with zeros.</summary>
            public virtual void zero_grad()
            {
                foreach (var parameter in parameters())
                {
                    using var grad = parameter.grad;
                    grad?.zero_();
                }
            }

            /// <summary>Changes every parameter that has a gradient, once.</summary>
            /// <param name="closure">Computes the loss and its gradients first, where given.</param>
            /// <returns>The loss of the closure, or null.</returns>
            public virtual Tensor? step(Func<Tensor>? closure = null)
                => throw new NotImplementedException($"{GetType().Name} does not say how to step.");

            /// <summary>Adds a group of parameters.</summary>
            public virtual void add_param_group(ParamGroup param_group) => _parameter_groups.Add(param_group);

            /// <summary>All parameters of all groups.</summary>
            public virtual IEnumerable<Parameter> parameters() => _parameter_groups.SelectMany(group => group.Parameters);

            /// <summary>The groups, for schedulers.</summary>
            public virtual IEnumerable<ILearningRateController> ParamGroups => _parameter_groups;

            /// <summary>Everything needed to go on where an optimizer stopped.</summary>
            public class StateDictionary
            {
                internal StateDictionary() { }

                /// <summary>The options of each group.</summary>
                public List<OptimizerOptions> Options { get; private set; } = [];

                /// <summary>What is kept for each parameter, group after group.</summary>
                public List<OptimizerState> State { get; private set; } = [];

                /// <summary>For each group, where in <see cref="State"/> its parameters are.</summary>
                public List<List<int>> StateIndexRef { get; private set; } = [];
            }
        }

        /// <summary>Anything that has a learning rate for a scheduler to change.</summary>
        public interface ILearningRateController
        {
            /// <summary>The rate now.</summary>
            double LearningRate { set; get; }

            /// <summary>The rate at the start.</summary>
            double InitialLearningRate { set; get; }
        }

        /// <summary>Anything that has a momentum.</summary>
        public interface IMomentum
        {
            double Momentum { get; set; }
        }

        /// <summary>Anything that has the two decay rates of Adam.</summary>
        public interface IBetas
        {
            (double, double) Betas { get; set; }
        }
    }
}
