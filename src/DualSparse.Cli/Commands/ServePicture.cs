using System.Text;
using DualSparse.Benchmarking.Serving;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Cli.Commands;

/// <summary>A server under load as an SVG picture.</summary>
internal static class ServePicture
{
    // Dark to light, and apart for most eyes: Okabe and Ito's.
    private static readonly (string Name, string Colour, Func<Percentiles, double> Of)[] s_lines =
        [("p50", "#0072b2", p => p.P50), ("p95", "#009e73", p => p.P95), ("p99", "#d55e00", p => p.P99)];

    private const int Header = 48, Legend = 60;

    // Times between tokens that a picture shows apart.
    private const int Buckets = 120;

    /// <summary>Times and speed over the load.</summary>
    /// <param name="title">What was measured.</param>
    /// <param name="level">What the load is counted in.</param>
    /// <param name="reports">One for each load.</param>
    public static string Draw(string title, string level, IReadOnlyList<ServeReport> reports)
    {
        var svg = Begin(title, 3, s_lines.Select(l => (l.Name, l.Colour)));
        new SvgPanel("time to the first token, ms", level, logarithmic: true).Write(svg, 0, Header, Lines(r => r.FirstToken));
        new SvgPanel("time between tokens, ms", level, logarithmic: true).Write(svg, SvgPanel.Width, Header, Lines(r => r.BetweenTokens));
        new SvgPanel("tokens a second", level, logarithmic: false).Write(svg, 2 * SvgPanel.Width, Header, [new SvgLine([.. reports.OrderBy(r => r.Level).Select(r => Point(r.Level, r.TokensPerSecond))], "#303030")]);
        return svg.Append("</svg>\n").ToString();

        SvgLine[] Lines(Func<ServeReport, Percentiles?> of) =>
            [.. s_lines.Select(line => new SvgLine([.. reports.OrderBy(r => r.Level).Where(r => of(r) is not null).Select(r => Point(r.Level, line.Of(of(r)!)))], line.Colour))];
    }

    /// <summary>Times between tokens over time, before a long prompt and while it is read.</summary>
    /// <param name="title">What was measured.</param>
    /// <param name="report">The measurement.</param>
    public static string Draw(string title, LongPromptReport report)
    {
        var svg = Begin(title, 1, [("median", "#0072b2"), ("longest", "#d55e00")]);
        SvgLine[] lines = [];
        if (report.Gaps is [var first, .., var last])
        {
            double width = Math.Max(1e-6, (last.At - first.At) / Buckets);
            var buckets = report.Gaps.GroupBy(g => (int)((g.At - first.At) / width)).OrderBy(g => g.Key)
                .Select(g => (At: first.At + (g.Key + 0.5) * width, Gaps: g.Select(x => 1e3 * x.Gap).Order().ToArray())).ToArray();
            lines = [new SvgLine([.. buckets.Select(b => Point(b.At, b.Gaps[b.Gaps.Length / 2]))], "#0072b2"), new SvgLine([.. buckets.Select(b => Point(b.At, b.Gaps[^1]))], "#d55e00")];
        }

        new SvgPanel("time between tokens, ms", "seconds since the long prompt", logarithmic: true).Write(svg, 0, Header, lines);
        return svg.Append("</svg>\n").ToString();
    }

    private static StringBuilder Begin(string title, int panels, IEnumerable<(string Name, string Colour)> legend)
    {
        int width = panels * SvgPanel.Width, height = Header + SvgPanel.Height;
        var svg = new StringBuilder();
        svg.Append($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n");
        svg.Append($"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n");
        SvgPanel.Text(svg, 12, 20, "start", title, " font-size=\"13\" font-weight=\"bold\"");
        int left = 12;
        foreach (var (name, colour) in legend)
        {
            SvgPanel.Rule(svg, left, 36, left + 18, 36, colour, 2.5);
            SvgPanel.Text(svg, left + 23, 40, "start", name);
            left += Legend + 20;
        }

        return svg;
    }

    private static (double X, double Y, double Low, double High) Point(double x, double y) => (x, y, y, y);
}
