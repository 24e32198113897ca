namespace DualSparse.Training.Checking;

/// <summary>A tensor of an oracle beside ours.</summary>
/// <param name="Kind">What it shows.</param>
/// <param name="Name">Its name in the oracle's file.</param>
/// <param name="Difference">‖ours − oracle‖, by the Euclidean norm.</param>
/// <param name="Norm">‖oracle‖.</param>
internal sealed record OracleAgreement(OracleKind Kind, string Name, double Difference, double Norm)
{
    // What the order of summation may change in f32, over some tens of layers.
    private const double Relative = 1e-4;

    // A gradient of an expert that few tokens chose is made of differences that all but cancel.
    private const double Absolute = 1e-7;

    /// <summary>The largest difference that agrees: 10⁻⁴·‖oracle‖, and of a tensor 10⁻⁷ more.</summary>
    public double Accepted => Relative * Norm + (Kind is OracleKind.Gradient or OracleKind.Step ? Absolute : 0);

    /// <summary>‖ours − oracle‖ / ‖oracle‖; 0 where both are zero.</summary>
    public double RelativeDifference => Difference == 0 ? 0 : Difference / Norm;

    /// <summary>Difference over what is accepted; infinite for a NaN, which never agrees.</summary>
    public double Share => Difference == 0 && !double.IsNaN(Norm) ? 0 : Difference / Accepted is var share && double.IsNaN(share) ? double.PositiveInfinity : share;

    /// <summary>Whether the two are equal but for rounding.</summary>
    public bool Agrees => Difference <= Accepted;
}
