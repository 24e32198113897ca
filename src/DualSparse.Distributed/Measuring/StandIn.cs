using System.Runtime.InteropServices;

namespace DualSparse.Distributed.Measuring;

/// <summary>
/// What stands in for experts where only their exchange is measured: part t of expert e multiplies a row by a(e, t), so that a rank's weighted sum of a
/// row x is (Σ_e w_e·a(e, t))·x. Every row, weight, expert and part that goes astray changes it, and what it ought to be is known everywhere.
/// </summary>
internal static class StandIn
{
    /// <summary>a(e, t): between 1 and 2, exact in a float, other for neighbours.</summary>
    public static float Factor(int expert, int part) => 1 + (expert * 29 + part * 11) % 64 / 64f;

    /// <summary>[tokens, hidden] a rank's rows, as they are once they have travelled.</summary>
    public static float[] Rows(ExchangeShape shape, int rank)
    {
        var random = new Random(-1 - rank);
        float[] values = [.. Enumerable.Range(0, shape.Tokens * shape.Hidden).Select(_ => random.NextSingle() * 2 - 1)];
        byte[] encoded = new byte[values.Length * shape.Rows.Bytes()];
        shape.Rows.Encode(values, encoded);
        shape.Rows.Decode(encoded, values);
        return values;
    }

    /// <summary>Writes a row as it travels: its experts, their weights, its values.</summary>
    public static void Write(ShapedRouting routing, int rank, int token, ReadOnlySpan<float> x, Span<byte> record)
    {
        int k = routing.Shape.TopK * sizeof(int);
        MemoryMarshal.AsBytes(routing.Experts(rank, token)).CopyTo(record);
        MemoryMarshal.AsBytes(routing.Weights(rank, token)).CopyTo(record[k..]);
        routing.Shape.Rows.Encode(x, record[(2 * k)..]);
    }

    /// <summary>A rank's weighted sum of a row that has arrived.</summary>
    /// <param name="shape">What is exchanged.</param>
    /// <param name="at">Where experts are.</param>
    /// <param name="rank">The rank.</param>
    /// <param name="record">The row as it came.</param>
    /// <param name="x">Scratch: [hidden].</param>
    /// <param name="sum">Receives the sum as it travels.</param>
    public static void Compute(ExchangeShape shape, ExpertArrangement at, int rank, ReadOnlySpan<byte> record, Span<float> x, Span<byte> sum)
    {
        int k = shape.TopK * sizeof(int);
        var experts = MemoryMarshal.Cast<byte, int>(record[..k]);
        var weights = MemoryMarshal.Cast<byte, float>(record[k..(2 * k)]);
        float factor = 0;
        for (int i = 0; i < experts.Length; i++)
        {
            if (at.GroupOfExpert(experts[i], shape.Experts) == at.GroupOf(rank))
                factor += weights[i] * Factor(experts[i], at.PartOf(rank));
        }

        shape.Rows.Decode(record[(2 * k)..], x);
        for (int i = 0; i < x.Length; i++)
            x[i] *= factor;
        shape.Sums.Encode(x, sum);
    }

    /// <summary>Compares what has come back with what one process computes.</summary>
    /// <param name="routing">Experts and weights.</param>
    /// <param name="at">Where experts are.</param>
    /// <param name="rank">Whose rows they are.</param>
    /// <param name="x">[tokens, hidden] the rows.</param>
    /// <param name="y">[tokens, hidden] the sums.</param>
    /// <returns>The largest difference, relative to the sum.</returns>
    /// <exception cref="InvalidDataException">A sum differs by more than rounding.</exception>
    public static double Check(ShapedRouting routing, ExpertArrangement at, int rank, ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        var shape = routing.Shape;
        // All terms of a sum have one sign: each of its roundings is at most u of it. In f32 there are two for each expert, and one a rank for the factor, the
        // product and the addition each; a sum travels at most twice.
        double tolerance = (2 * shape.TopK + 3 * at.Ranks) * Math.ScaleB(1, -24) + 2 * shape.Sums.Rounding();
        double largest = 0;
        for (int token = 0; token < shape.Tokens; token++)
        {
            double factor = Factor(routing, at, rank, token);
            for (int i = token * shape.Hidden; i < (token + 1) * shape.Hidden; i++)
            {
                double expected = factor * x[i], difference = Math.Abs(y[i] - expected);
                if (!(difference <= tolerance * Math.Abs(expected)))
                    throw new InvalidDataException($"row {token} of rank {rank} came back with {y[i]} at {i % shape.Hidden}, expected {expected}: the {at.Name} exchange moved wrong bytes");
                if (difference > 0)
                    largest = Math.Max(largest, difference / Math.Abs(expected));
            }
        }

        return largest;
    }

    private static double Factor(ShapedRouting routing, ExpertArrangement at, int rank, int token)
    {
        var experts = routing.Experts(rank, token);
        var weights = routing.Weights(rank, token);
        double factor = 0;
        for (int k = 0; k < experts.Length; k++)
        {
            for (int part = 0; part < at.Parts; part++)
                factor += (double)weights[k] * Factor(experts[k], part);
        }

        return factor;
    }
}
