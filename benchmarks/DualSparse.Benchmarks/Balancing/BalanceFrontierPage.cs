using System.Text;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Benchmarks.Balancing;

/// <summary>The frontier as a table and as a picture.</summary>
internal static class BalanceFrontierPage
{
    // Okabe and Ito's; what is compared with is grey.
    private static readonly Dictionary<string, string> s_colours = new()
    {
        ["drop, all"] = "#909090",
        ["drop, paper"] = "#56b4e9",
        ["drop, makespan"] = "#0072b2",
        ["precision, all"] = "#303030",
        ["precision, paper"] = "#cc79a7",
        ["precision, makespan"] = "#d55e00",
        ["both, makespan"] = "#009e73",
    };

    private const int Header = 34, LegendWidth = 180, LegendLine = 18;

    /// <summary>A table a placement and number of ranks.</summary>
    public static string Table(IReadOnlyList<BalancePoint> points)
    {
        var text = new StringBuilder();
        foreach (var group in points.GroupBy(p => (p.Ranks, p.Placement)))
        {
            text.Append(Invariant($"\n## {group.Key.Ranks} ranks, {group.Key.Placement}: perfect balance would save {group.First().Bound:0.0%}\n\n"));
            text.Append("| balance | rate asked | dropped | in int8 | load ÷ | KL | ΔNLL | KL over every rank's |\n|---|---|---|---|---|---|---|---|\n");
            foreach (var p in group)
            {
                var uniform = group.FirstOrDefault(q => q.Balance == "drop" && q.Rule == "all" && q.Rate == p.Rate);
                string over = p.Balance == "drop" && uniform is not null ? Invariant($"{p.Kl.Value / uniform.Kl.Value:0.00}") : "";
                text.Append(Invariant($"| {Name(p)} | {(p.Rate > 0 ? Invariant($"{p.Rate}") : "")} | {p.Dropped:0.0%} | {p.Switched:0.0%} | {1 / p.Time:0.00} | {p.Kl.Value:0.00000} | {p.DeltaNll.Value:0.0000} | {over} |\n").Replace('-', '−'));
            }
        }

        return text.ToString();
    }

    /// <summary>KL against predicted time: a panel a placement and number of ranks.</summary>
    public static string Draw(IReadOnlyList<BalancePoint> points)
    {
        var groups = points.GroupBy(p => (p.Ranks, p.Placement)).ToArray();
        int columns = Math.Min(2, groups.Length), rows = (groups.Length + columns - 1) / columns, width = columns * SvgPanel.Width, across = Math.Max(1, width / LegendWidth);
        int height = rows * (SvgPanel.Height + Header) + (s_colours.Count + across - 1) / across * LegendLine + LegendLine;
        var svg = new StringBuilder();
        svg.Append(Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n"));
        svg.Append(Invariant($"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"));
        for (int i = 0; i < groups.Length; i++)
        {
            int left = i % columns * SvgPanel.Width, top = i / columns * (SvgPanel.Height + Header);
            SvgPanel.Text(svg, left + 12, top + 20, "start", $"{groups[i].Key.Ranks} ranks, {groups[i].Key.Placement}", " font-size=\"14\" font-weight=\"bold\"");
            var lines = groups[i].GroupBy(Name).Select(line => new SvgLine([.. line.Select(p => (100 * p.Time, p.Kl.Value, p.Kl.Low, p.Kl.High)).OrderBy(p => p.Item1)], s_colours[line.Key]));
            new SvgPanel("KL to the dense run, nats a token", "highest load, % of none's", logarithmic: true).Write(svg, left, top + Header, [.. lines]);
        }

        int at = 0, first = rows * (SvgPanel.Height + Header) + LegendLine;
        foreach (var (name, colour) in s_colours)
        {
            int left = at % across * LegendWidth + 12, y = first + at++ / across * LegendLine;
            SvgPanel.Rule(svg, left, y - 4, left + 22, y - 4, colour, 2.5);
            SvgPanel.Text(svg, left + 28, y, "start", name);
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static string Name(BalancePoint point) => $"{point.Balance}, {point.Rule}";

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
