using DualSparse.Kernels.Ops;

namespace DualSparse.Engine.Vision;

/// <summary>By which of a token's places the pairs of a head turn (interleaved M-RoPE).</summary>
internal static class GridRotation
{
    /// <summary>[pairs]: every third pair by rows, the ones behind them by columns, until each has its number; the others by time.</summary>
    /// <param name="sections">[3]: pairs that turn by time, rows and columns.</param>
    public static GridAxis[] Axes(IReadOnlyList<int> sections) =>
    [
        .. Enumerable.Range(0, sections.Sum()).Select(pair => (pair % 3) switch
        {
            1 when pair < 3 * sections[1] => GridAxis.Row,
            2 when pair < 3 * sections[2] => GridAxis.Column,
            _ => GridAxis.Time,
        }),
    ];
}
