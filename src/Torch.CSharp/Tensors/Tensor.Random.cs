namespace TorchSharp;

public static partial class torch
{
    // Random numbers.
    public partial class Tensor
    {
        public Tensor bernoulli(Generator? generator = null) => Aten.Call("bernoulli", this, generator);

        public Tensor bernoulli_(double p = 0.5, Generator? generator = null)
        {
            Aten.Run("bernoulli_.float", this, p, generator);
            return this;
        }

        public Tensor bernoulli_(Tensor p, Generator? generator = null)
        {
            Aten.Run("bernoulli_.Tensor", this, p, generator);
            return this;
        }

        public Tensor binomial(Tensor prob, Generator? generator = null) => Aten.Call("binomial", this, prob, generator);

        public Tensor cauchy_(double median = 0, double sigma = 1, Generator? generator = null)
        {
            Aten.Run("cauchy_", this, median, sigma, generator);
            return this;
        }

        public Tensor exponential_(double lambda = 1, Generator? generator = null)
        {
            Aten.Run("exponential_", this, lambda, generator);
            return this;
        }

        public Tensor geometric_(double p, Generator? generator = null)
        {
            Aten.Run("geometric_", this, p, generator);
            return this;
        }

        public Tensor log_normal_(double mean = 0, double std = 1, Generator? generator = null)
        {
            Aten.Run("log_normal_", this, mean, std, generator);
            return this;
        }

        public Tensor multinomial(long num_samples, bool replacement = false, Generator? generator = null) =>
            Aten.Call("multinomial", this, num_samples, replacement, generator);

        public Tensor normal_(double mean = 0, double std = 1, Generator? generator = null)
        {
            Aten.Run("normal_", this, mean, std, generator);
            return this;
        }

        public Tensor poisson(Generator? generator = null) => Aten.Call("poisson", this, generator);

        public Tensor random_(double from, double to, Generator? generator = null)
        {
            Aten.Run("random_.from", this, (long)from, (long)to, generator);
            return this;
        }

        public Tensor uniform_(double from, double to, Generator? generator = null)
        {
            Aten.Run("uniform_", this, from, to, generator);
            return this;
        }
    }
}
