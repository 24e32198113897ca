using System.Collections.Concurrent;
using DualSparse.Engine;
using DualSparse.Kernels;
using DualSparse.Tests.Engine;

[assembly: AssemblyFixture(typeof(GoldenModels))]

namespace DualSparse.Tests.Engine;

/// <summary>
/// The models of tests/golden, each loaded once for all tests: weights never change. A test that writes over them loads its own.
/// </summary>
public sealed class GoldenModels : IDisposable
{
    private readonly ConcurrentDictionary<string, Lock> locks = [];
    private readonly ConcurrentDictionary<(string Family, WeightFormat Weights, int Threads, string? Kernels), Transformer> models = [];

    /// <summary>
    /// Borrows a model until the loan is disposed of, on the thread that took it. A model runs one pass at a time: until then no other test
    /// has a model of this family, while this one may borrow others of it.
    /// </summary>
    /// <param name="family">The folder's name.</param>
    /// <param name="weights">How weights are kept.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="kernels">The kernels' name; null: the best, or those that the environment forces.</param>
    public Loan Borrow(string family, WeightFormat weights = WeightFormat.Bf16, int threads = 2, string? kernels = null)
    {
        var held = locks.GetOrAdd(family, _ => new Lock());
        held.Enter();
        try
        {
            var options = new EngineOptions { Weights = weights, Threads = threads, Kernels = kernels is null ? null : KernelSet.Named(kernels) };
            return new Loan(models.GetOrAdd((family, weights, threads, kernels), _ => Transformer.Load(TestPaths.Golden(family), options)), held);
        }
        catch
        {
            held.Exit();
            throw;
        }
    }

    /// <summary>Frees all of them.</summary>
    public void Dispose()
    {
        foreach (var model in models.Values)
            model.Dispose();
    }

    /// <summary>A model for as long as it is borrowed.</summary>
    public sealed class Loan : IDisposable
    {
        private readonly Lock held;

        internal Loan(Transformer model, Lock held) => (Model, this.held) = (model, held);

        /// <summary>The model.</summary>
        internal Transformer Model { get; }

        /// <summary>Gives it back.</summary>
        public void Dispose() => held.Exit();
    }
}
