using System.Text;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Cli.Commands;

/// <summary>Each rank's time in each variant as an SVG picture: a group of bars a rank.</summary>
internal static class BalancePicture
{
    // They differ in lightness, too; the first is what there was before.
    private static readonly string[] s_colours = ["#b8b8b8", "#12355b", "#5b7ea6", "#2e9e8f", "#8a4f9e", "#c08fd0", "#d1495b", "#f0b429", "#7f5539", "#606060"];

    private const int Width = 1000, Left = 60, Right = 20, Top = 86, Height = 240, Bottom = 40, Swatch = 14, Legend = 240;

    // Ticks of the axis.
    private const int Ticks = 4;

    /// <summary>Draws the ranks of the largest count: the real ones where that is real.</summary>
    /// <param name="title">What is shown.</param>
    /// <param name="figures">All variants.</param>
    public static string Draw(string title, IReadOnlyList<BalanceFigures> figures)
    {
        int ranks = figures.Max(f => f.Ranks);
        var largest = figures.Where(f => f.Ranks == ranks).ToArray();
        BalanceFigures[] shown = [.. largest.Where(f => f.Real == largest[0].Real)];
        double most = shown.Max(f => f.RankMilliseconds.Max());
        int floor = Top + Height, group = (Width - Left - Right) / ranks, bar = Math.Max(2, (group - 8) / shown.Length);
        var svg = new StringBuilder();
        svg.Append(FormattableString.Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{floor + Bottom}\" viewBox=\"0 0 {Width} {floor + Bottom}\" font-family=\"sans-serif\" font-size=\"12\">\n"));
        svg.Append(FormattableString.Invariant($"<rect width=\"{Width}\" height=\"{floor + Bottom}\" fill=\"white\"/>\n"));
        SvgPanel.Text(svg, Left, 20, "start", title, " font-size=\"14\" font-weight=\"bold\"");
        for (int v = 0; v < shown.Length; v++)
        {
            int x = Left + v % 4 * Legend, y = 30 + v / 4 * 20;
            SvgPanel.Box(svg, x, y, Swatch, Swatch, s_colours[v]);
            SvgPanel.Text(svg, x + Swatch + 6, y + 12, "start", shown[v].Variant);
        }

        for (int tick = 0; tick <= Ticks; tick++)
        {
            double y = floor - Height * (double)tick / Ticks;
            SvgPanel.Rule(svg, Left, y, Width - Right, y, "#d0d0d0");
            SvgPanel.Text(svg, Left - 6, y + 4, "end", FormattableString.Invariant($"{most * tick / Ticks:0.##}"));
        }

        SvgPanel.Text(svg, Left - 6, Top - 10, "end", "ms");
        for (int rank = 0; rank < ranks; rank++)
        {
            for (int v = 0; v < shown.Length; v++)
            {
                double height = Height * shown[v].RankMilliseconds[rank] / most;
                SvgPanel.Box(svg, Left + rank * group + 4 + v * bar, floor - height, bar - 1, height, s_colours[v]);
            }

            SvgPanel.Text(svg, Left + rank * group + group / 2.0, floor + 18, "middle", $"rank {rank}");
        }

        return svg.Append("</svg>\n").ToString();
    }
}
