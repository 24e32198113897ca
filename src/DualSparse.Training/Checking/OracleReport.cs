namespace DualSparse.Training.Checking;

/// <summary>What came of a comparison with an oracle's file.</summary>
/// <param name="Kernel">The kernel that multiplied.</param>
/// <param name="Compared">Every tensor of the file that was compared, the largest difference over what is accepted first.</param>
/// <param name="Unmatched">Tensors of the file that have no counterpart here, each with the reason.</param>
/// <param name="Missing">What the file doesn't hold, and so isn't compared.</param>
internal sealed record OracleReport(string Kernel, IReadOnlyList<OracleAgreement> Compared, IReadOnlyList<string> Unmatched, IReadOnlyList<string> Missing)
{
    /// <summary>Whether all that the file holds agrees.</summary>
    public bool Agrees => Unmatched.Count == 0 && Compared.All(tensor => tensor.Agrees);
}
