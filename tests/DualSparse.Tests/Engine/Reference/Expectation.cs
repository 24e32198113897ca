using DualSparse.Kernels;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Reference;

/// <summary>
/// The logits of some tokens by the formulas, with weights and rows rounded where the engine rounds them, and by how much they would move
/// were all results of one kind of product too large.
/// </summary>
/// <remarks>
/// What is left between these logits and the engine's is the order of sums in f32, some 1e-7, and now and then a number that lies so near
/// the middle of two roundings that it goes the other way: then a row differs by a step, the next rounding sees another row, and in the end
/// its roundings have nothing to do with the reference's. So far, and no farther, can an error without a fault go: two runs whose roundings
/// are independent differ by √2 of what rounding costs one of them. A wrong scale can hide in that; but it moves every token the same known
/// way, while flipped roundings move some tokens any way. So the difference is also measured along what each kind of product would do.
/// </remarks>
internal sealed class Expectation
{
    // RMS over that of the logits: what the order of sums may cost.
    private const double SumError = 1e-5;

    // A scale that is wrong by 1 % is twice that.
    private const double ScaleError = 0.005;

    // What a product is multiplied with to see what that does: in double precision, without rounding of rows, a derivative.
    private const double Step = 1e-4;

    // Logits that move by less than this of themselves for a product twice as large don't depend on it: a norm behind it takes its scale away.
    private const double NoSlope = 1e-6;

    // Of a token's logits: nearer ones all count alike.
    private const double NearEnough = 1e-4;

    private readonly double[][] expected;
    private readonly double limit;
    private readonly IReadOnlyList<(string Product, double[][] Slope)> slopes;

    /// <summary>Computes them.</summary>
    /// <param name="checkpoint">The model.</param>
    /// <param name="weights">How the engine keeps its weights.</param>
    /// <param name="ids">At most 256 tokens.</param>
    /// <param name="absorbed">Whether latent attention goes the way of generated tokens.</param>
    /// <param name="slopes">Of the same tokens and way.</param>
    public Expectation(Checkpoint checkpoint, WeightFormat weights, int[] ids, bool absorbed, IReadOnlyList<(string Product, double[][] Slope)> slopes)
    {
        this.slopes = slopes;
        expected = new ReferenceTransformer(checkpoint, Rounding.Of(weights), absorbed).Logits(ids);
        double[][] unrounded = new ReferenceTransformer(checkpoint, Rounding.OfWeights(weights), absorbed).Logits(ids);
        limit = SumError + Math.Sqrt(2) * Size(Minus(expected, unrounded)) / Size(expected);
    }

    /// <summary>
    /// By how much the logits move for each kind of product, in all layers at once, over the share that it is too large: those of the
    /// checkpoint's own weights, which those of narrower ones are near enough to.
    /// </summary>
    public static IReadOnlyList<(string Product, double[][] Slope)> Slopes(Checkpoint checkpoint, int[] ids, bool absorbed)
    {
        var model = new ReferenceTransformer(checkpoint, Rounding.None, absorbed) { Scale = 1 + Step };
        double[][] logits = model.Logits(ids);
        List<(string Product, double[][] Slope)> slopes = [];
        foreach (string product in model.Products.ToArray())
        {
            model.Scaled = product;
            double[][] slope = [.. Minus(model.Logits(ids), logits).Select(row => row.Select(d => d / Step).ToArray())];
            if (Size(slope) > NoSlope * Size(logits))
                slopes.Add((product, slope));
        }

        return slopes;
    }

    /// <summary>Compares the engine's logits with them.</summary>
    public void Check(double[][] logits, string run)
    {
        double[][] difference = Minus(logits, expected);
        double error = Size(difference) / Size(expected);
        Assert.True(error <= limit, $"{run}: the logits are {error:0.0e+0} of themselves away, expected at most {limit:0.0e+0}");
        // A token counts the less the farther away it is: a rounding that flips before a router may send one to another expert, which
        // says nothing of scales, while a wrong scale moves all alike.
        double[] trust = [.. difference.Zip(expected, (d, e) => 1 / (NearEnough * NearEnough * Dot(e, e) + Dot(d, d)))];
        foreach (var (product, slope) in slopes)
        {
            double scale = trust.Select((w, t) => w * Dot(difference[t], slope[t])).Sum() / trust.Select((w, t) => w * Dot(slope[t], slope[t])).Sum();
            Assert.True(Math.Abs(scale) <= ScaleError, $"{run}: the logits look as if '{product}' were {1 + scale:0.000} times as large");
        }
    }

    private static double[][] Minus(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (p, q) => p - q).ToArray())];

    private static double Size(double[][] rows) => Math.Sqrt(rows.Sum(row => Dot(row, row)));

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
}
