using System.Globalization;
using DualSparse.Kernels;

namespace DualSparse.Distributed;

/// <summary>How experts are placed: as somebody asks for it, or by what costs the least.</summary>
/// <param name="Parts">The parts of each expert; null: as many as ranks.</param>
/// <param name="Setting">What a choice goes by, if it is free.</param>
/// <param name="InOrder">Whether experts are dealt out in the checkpoint's order, even if calibration has counted them.</param>
internal sealed record PlacementKind(int? Parts, PlacementSetting? Setting = null, bool InOrder = false)
{
    /// <summary>Whole experts, each on one rank.</summary>
    public static readonly PlacementKind Own = new(1);

    /// <summary>A slice of every expert on every rank.</summary>
    public static readonly PlacementKind Slice = new((int?)null);

    /// <summary>The one that is predicted to take the least time.</summary>
    public static PlacementKind Fastest(PlacementSetting setting) => new(null, setting);

    /// <summary>What the command line calls it: own, own:in-order, slice, or hybrid:P.</summary>
    /// <exception cref="ArgumentException">It is none of them.</exception>
    public static PlacementKind Parse(string text)
    {
        string name = text.ToLowerInvariant();
        return name switch
        {
            "own" => Own,
            "own:in-order" => Own with { InOrder = true },
            "slice" => Slice,
            _ when name.StartsWith("hybrid:", StringComparison.Ordinal) && int.TryParse(name["hybrid:".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out int parts) && parts > 0 => new(parts),
            _ => throw new ArgumentException($"--placement is '{text}', expected own, own:in-order, slice or hybrid:P with the number of parts"),
        };
    }
}

/// <summary>What the predicted time of a placement depends on beside model and ranks.</summary>
/// <param name="Work">What is to be done.</param>
/// <param name="Weights">The format of the weights.</param>
/// <param name="Form">The form in which rows reach an expert.</param>
/// <param name="Machine">The slowest rank's rates.</param>
/// <param name="Link">The slowest pair's.</param>
/// <param name="Measured">Whether the rates were measured.</param>
internal sealed record PlacementSetting(RankWork Work, WeightFormat Weights, ActivationFormat Form, MachineRates Machine, LinkRates Link, bool Measured = true)
{
    /// <summary>Before ranks run, on one machine: a core of a server reads some 10 GB/s and does some 100 GFLOP/s; shared memory carries half a core's bandwidth.</summary>
    public static PlacementSetting Nominal(RankWork work, WeightFormat weights) => new(work, weights, ActivationFormat.Bf16, new(10e9, 100e9), new(1e-6, 5e9), Measured: false);

    /// <summary>The figures that a choice was made by.</summary>
    /// <param name="times">Placements and their predicted seconds, the fastest first.</param>
    public string Reason((string Name, double Seconds)[] times)
    {
        string others = string.Concat(times[1..].Select(t => $", {t.Name} {Time(t.Seconds)}"));
        return $"{Time(times[0].Seconds)} {Work.Name} predicted{others}; {(Measured ? "" : "assuming ")}{Rates}";
    }

    /// <summary>What was measured, or assumed, for people.</summary>
    public string Rates => $"link {Time(Link.LatencySeconds)}, {Link.BytesPerSecond / 1e9:0.###} GB/s, {Link.CrossedBytesPerSecond / 1e9:0.###} both ways at once; a rank's memory {Machine.BytesPerSecond / 1e9:0.#} GB/s";

    private static string Time(double seconds) => seconds switch
    {
        < 1e-4 => $"{seconds * 1e6:0.#} µs",
        < 1 => $"{seconds * 1e3:0.##} ms",
        _ => $"{seconds:0.##} s",
    };
}
