using System.Globalization;
using System.Text;
using DualSparse.Benchmarking.ShortcutExperts;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Cli.Commands;

/// <summary>Pairs of layers as an SVG picture: of each variant a panel, in it a lane an operator, with what it does when on rank 0.</summary>
internal static class ScMoePicture
{
    // Colours that differ in lightness, too.
    private static readonly (string What, string Name, string Colour)[] s_kinds =
        [("compute", "computing", "#2e9e8f"), ("travel", "communicating", "#f0b429"), ("wait", "waiting", "#c8c8c8")];

    private const int Width = 1000, Left = 150, Right = 20, Top = 66, Lane = 14, Gap = 3, Title = 26, Bottom = 40, Swatch = 14, LegendStep = 150;

    // The approximate number of ticks that fit.
    private const int Ticks = 8;

    /// <summary>Draws a link's variants, one below the other, on one scale.</summary>
    public static string Draw(ScMoeReport link)
    {
        double end = link.Rows.Max(row => row.Lanes.SelectMany(lane => lane.Parts).Max(part => part.To));
        int floor = Top + link.Rows.Sum(row => Title + row.Lanes.Count * (Lane + Gap)), height = floor + Bottom;
        var svg = new StringBuilder();
        svg.Append(FormattableString.Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{height}\" viewBox=\"0 0 {Width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n"));
        svg.Append(FormattableString.Invariant($"<rect width=\"{Width}\" height=\"{height}\" fill=\"white\"/>\n"));
        string links = link.Megabits is { } rate ? $"links of {rate} Mbit/s" : "the ranks' own link";
        SvgPanel.Text(svg, 16, 22, "start", FormattableString.Invariant($"A pair of layers on rank 0, {links}: rows under way for {link.Share:0 %} of top-2's MoE time"), " font-size=\"14\" font-weight=\"bold\"");
        for (int i = 0; i < s_kinds.Length; i++)
        {
            SvgPanel.Box(svg, Left + i * LegendStep, 34, Swatch, Swatch, s_kinds[i].Colour);
            SvgPanel.Text(svg, Left + i * LegendStep + Swatch + 6, 46, "start", s_kinds[i].Name);
        }

        double step = SvgPanel.TickStep(end, Ticks);
        for (int tick = 0; tick * step <= end * (1 + 1e-9); tick++)
        {
            SvgPanel.Rule(svg, X(tick * step), Top - 4, X(tick * step), floor, "#e0e0e0");
            SvgPanel.Text(svg, X(tick * step), floor + 16, "middle", (tick * step).ToString("0.######", CultureInfo.InvariantCulture));
        }

        int y = Top;
        foreach (var row in link.Rows)
        {
            SvgPanel.Text(svg, 16, y + 16, "start", FormattableString.Invariant($"{row.Name}: {row.Milliseconds:0} ms, {row.Speedup:0.00} × top-2"), " font-weight=\"bold\"");
            y += Title;
            foreach (var lane in row.Lanes)
            {
                SvgPanel.Text(svg, Left - 8, y + Lane - 3, "end", lane.Name);
                foreach (var part in lane.Parts)
                    SvgPanel.Box(svg, X(part.From), y, X(part.To) - X(part.From), Lane, s_kinds.First(kind => kind.What == part.What).Colour);
                y += Lane + Gap;
            }
        }

        SvgPanel.Text(svg, (Left + Width - Right) / 2.0, floor + 34, "middle", "milliseconds");
        return svg.Append("</svg>\n").ToString();

        double X(double milliseconds) => Left + (Width - Right - Left) * milliseconds / end;
    }
}
