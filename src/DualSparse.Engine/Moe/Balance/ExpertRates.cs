using System.Runtime.InteropServices;

namespace DualSparse.Engine.Moe.Balance;

/// <summary>What a rank computes experts with: the slowest rank's, so that all ranks predict the same.</summary>
/// <param name="BytesPerSecond">Read bandwidth of memory.</param>
/// <param name="OperationsPerSecond">Rate of the weights' kernel, two operations a multiply-add.</param>
/// <param name="LowOperationsPerSecond">The same of the lower precision's.</param>
/// <param name="ConvertBytesPerSecond">Bytes of weights that are read a second while they are converted.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct ExpertRates(double BytesPerSecond, double OperationsPerSecond, double LowOperationsPerSecond, double ConvertBytesPerSecond)
{
    /// <summary>Of both the lower.</summary>
    public static ExpertRates Lower(ExpertRates a, ExpertRates b) => new(
        Math.Min(a.BytesPerSecond, b.BytesPerSecond), Math.Min(a.OperationsPerSecond, b.OperationsPerSecond),
        Math.Min(a.LowOperationsPerSecond, b.LowOperationsPerSecond), Math.Min(a.ConvertBytesPerSecond, b.ConvertBytesPerSecond));

    /// <summary>
    /// The rows from which on a rank with a mean load is done earlier in the lower precision, converting included: there a weight's operations save
    /// more than its conversion takes, 2·n·(1/R − 1/R_low) = b/C for n rows an expert and b bytes a weight.
    /// </summary>
    /// <param name="weightBytes">Bytes of a weight as it is kept.</param>
    /// <param name="experts">E.</param>
    /// <param name="topK">k: T rows are T·k/E an expert.</param>
    /// <returns>Rows of all ranks together; <see cref="int.MaxValue"/> where it never pays.</returns>
    public int Knee(double weightBytes, int experts, int topK)
    {
        double saved = 2 * (1 / OperationsPerSecond - 1 / LowOperationsPerSecond);
        if (!(saved > 0))
            return int.MaxValue;
        double rows = weightBytes / ConvertBytesPerSecond / saved * experts / topK;
        return rows < int.MaxValue ? (int)rows : int.MaxValue;
    }
}
