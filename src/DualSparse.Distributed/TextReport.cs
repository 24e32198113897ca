using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using DualSparse.Engine;
using DualSparse.Engine.Moe.Drop;

namespace DualSparse.Distributed;

/// <summary>What a text has come to in a pass on another rank, as numbers: the layers' counts, then the expected loss, if there is one.</summary>
internal static class TextReport
{
    private const int CountNumbers = 5, LossNumbers = 10;

    /// <summary>Numbers of a report.</summary>
    public static int Length(int layers) => layers * CountNumbers + LossNumbers;

    /// <summary>Writes a report.</summary>
    /// <param name="work">[layers] the pass's counts.</param>
    /// <param name="expected">The text's expected loss.</param>
    /// <param name="target">[<see cref="Length"/>].</param>
    public static void Write(ReadOnlySpan<DropCounts> work, ExpectedLoss? expected, Span<double> target)
    {
        Check();
        // Counts are whole numbers of 64 bits: their bits travel.
        MemoryMarshal.Cast<DropCounts, double>(work).CopyTo(target);
        double[] loss = expected is null ? new double[LossNumbers]
            : [1, .. new[] { expected.Kl, expected.DeltaNll, expected.Flips }.SelectMany(i => new[] { i.Value, i.Low, i.High })];
        loss.CopyTo(target[^LossNumbers..]);
    }

    /// <summary>Takes a report over into the text here.</summary>
    public static void Apply(TextDrop text, int tokens, ReadOnlySpan<double> report)
    {
        var loss = report[^LossNumbers..];
        text.CommitElsewhere(tokens, MemoryMarshal.Cast<double, DropCounts>(report[..^LossNumbers]), loss[0] == 0 ? null : new ExpectedLoss(
            new Interval(loss[1], loss[2], loss[3]), new Interval(loss[4], loss[5], loss[6]), new Interval(loss[7], loss[8], loss[9])));
    }

    private static void Check()
    {
        if (Unsafe.SizeOf<DropCounts>() != CountNumbers * sizeof(double))
            throw new InvalidOperationException($"a layer's counts have {Unsafe.SizeOf<DropCounts>()} bytes, expected {CountNumbers * sizeof(double)}");
    }
}
