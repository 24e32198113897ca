using System.Globalization;
using System.Text;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Cli.Commands;

/// <summary>A layer over ranks as an SVG picture: a lane a rank, what it did when.</summary>
internal static class EpPicture
{
    // Colours that differ in lightness, too: from dark to light.
    private static readonly (LaneStep Step, string Name, string Colour)[] s_steps =
    [
        (LaneStep.Dispatch, "dispatch (encode, lists, messages)", "#12355b"),
        (LaneStep.Shared, "shared experts", "#8a4f9e"),
        (LaneStep.Experts, "experts", "#2e9e8f"),
        (LaneStep.Combine, "combine", "#f0b429"),
        (LaneStep.Waiting, "waiting", "#e6e6e6"),
    ];

    private const int Width = 1000, Left = 70, Right = 110, Top = 62, Lane = 30, Gap = 10, Bottom = 46, Swatch = 14;

    // Where the legend's entries begin.
    private static readonly int[] s_columns = [0, 245, 370, 460, 560];

    // The approximate number of ticks that fit.
    private const int Ticks = 8;

    /// <summary>Draws lanes.</summary>
    /// <param name="title">What is shown.</param>
    /// <param name="lanes">Each rank's.</param>
    public static string Draw(string title, IReadOnlyList<RankLane> lanes)
    {
        double end = Math.Max(1e-9, lanes.Max(lane => lane.Seconds));
        int height = Top + lanes.Count * (Lane + Gap) + Bottom, floor = Top + lanes.Count * (Lane + Gap);
        var svg = new StringBuilder();
        svg.Append(FormattableString.Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{height}\" viewBox=\"0 0 {Width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n"));
        svg.Append(FormattableString.Invariant($"<rect width=\"{Width}\" height=\"{height}\" fill=\"white\"/>\n"));
        SvgPanel.Text(svg, Left, 22, "start", title, " font-size=\"14\" font-weight=\"bold\"");
        for (int i = 0; i < s_steps.Length; i++)
        {
            SvgPanel.Box(svg, Left + s_columns[i], 34, Swatch, Swatch, s_steps[i].Colour);
            SvgPanel.Text(svg, Left + s_columns[i] + Swatch + 6, 46, "start", s_steps[i].Name);
        }

        double step = SvgPanel.TickStep(1e3 * end, Ticks);
        for (int tick = 0; tick * step <= 1e3 * end * (1 + 1e-9); tick++)
        {
            SvgPanel.Rule(svg, X(tick * step / 1e3), Top - 4, X(tick * step / 1e3), floor, "#d0d0d0");
            SvgPanel.Text(svg, X(tick * step / 1e3), floor + 16, "middle", (tick * step).ToString("0.######", CultureInfo.InvariantCulture));
        }

        for (int rank = 0; rank < lanes.Count; rank++)
        {
            int y = Top + rank * (Lane + Gap);
            SvgPanel.Text(svg, Left - 8, y + Lane / 2 + 4, "end", $"rank {rank}");
            foreach (var segment in lanes[rank].Segments)
                SvgPanel.Box(svg, X(segment.From), y, X(segment.To) - X(segment.From), Lane, s_steps.First(s => s.Step == segment.Step).Colour);
            SvgPanel.Text(svg, Width - Right + 8, y + Lane / 2 + 4, "start", FormattableString.Invariant($"waits {lanes[rank].Of(LaneStep.Waiting) / lanes[rank].Seconds:0 %}"));
        }

        SvgPanel.Text(svg, (Left + Width - Right) / 2.0, floor + 36, "middle", "milliseconds since the rank began the layer");
        return svg.Append("</svg>\n").ToString();

        double X(double seconds) => Left + (Width - Right - Left) * seconds / end;
    }
}
