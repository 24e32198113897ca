using System.Text;
using DualSparse.Engine;

namespace DualSparse.Evaluation.Sweep;

/// <summary>A sweep as an SVG picture: for each text KL and ΔNLL against drop rate and against measured speed.</summary>
internal static class SweepPicture
{
    // Colours that most eyes can tell apart (Okabe and Ito's, and more), one for each method; controls are grey.
    private static readonly string[] s_colours = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#b8860b", "#6a3d9a", "#8c564b", "#7cb518"];
    private static readonly Dictionary<string, string> s_controls = new()
    {
        [SweepMethods.Stored] = "#303030",
        [SweepMethods.Random] = "#b0b0b0",
        [SweepMethods.Reversed] = "#707070",
    };

    private const int HeaderHeight = 30, LegendLine = 18, LegendColumn = 400;

    /// <summary>The picture.</summary>
    /// <param name="points">The points of <see cref="SweepRun.Run"/>.</param>
    public static string Draw(IReadOnlyList<SweepPoint> points)
    {
        string[] texts = [.. points.Select(p => p.Report.Name).Distinct()];
        var kinds = points.DistinctBy(p => SweepMethods.Kind(p.Method.Name)).Select(p => p.Method).ToArray();
        var colours = Colours(kinds.Select(m => SweepMethods.Kind(m.Name)));
        int width = 4 * SvgPanel.Width, columns = width / LegendColumn, rows = (kinds.Length + columns - 1) / columns;
        int height = texts.Length * (HeaderHeight + SvgPanel.Height) + rows * LegendLine + LegendLine;
        var svg = new StringBuilder();
        svg.Append($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n");
        svg.Append($"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n");
        for (int t = 0; t < texts.Length; t++)
        {
            int top = t * (HeaderHeight + SvgPanel.Height);
            SvgPanel.Text(svg, 12, top + 20, "start", texts[t], " font-size=\"15\" font-weight=\"bold\"");
            var own = points.Where(p => p.Report.Name == texts[t]).ToArray();
            Panel(0, "KL to the dense run, nats a token", true, false);
            Panel(1, "ΔNLL, nats a token", false, false);
            Panel(2, "KL to the dense run, nats a token", true, true);
            Panel(3, "ΔNLL, nats a token", false, true);

            void Panel(int column, string title, bool kl, bool speed) => new SvgPanel(title, speed ? "speed relative to the dense run, measured" : "dropped, %", logarithmic: kl)
                .Write(svg, column * SvgPanel.Width, top + HeaderHeight, [.. own.GroupBy(p => p.Method).Select(line => Line(line, kl, speed, colours))]);
        }

        for (int k = 0; k < kinds.Length; k++)
        {
            string kind = SweepMethods.Kind(kinds[k].Name);
            int left = k % columns * LegendColumn + 12, y = height - (rows - k / columns) * LegendLine;
            SvgPanel.Rule(svg, left, y - 4, left + 22, y - 4, colours[kind], 2.5);
            SvgPanel.Text(svg, left + 28, y, "start", $"{kind}: {kinds[k].Description}");
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static SvgLine Line(IEnumerable<SweepPoint> line, bool kl, bool speed, Dictionary<string, string> colours) => new(
        [.. line.Select(p => Point(p.Report, kl, speed)).OrderBy(p => p.X)], colours[SweepMethods.Kind(line.First().Method.Name)]);

    private static (double X, double Y, double Low, double High) Point(WindowReport report, bool kl, bool speed)
    {
        Interval y = kl ? report.KullbackLeibler! : report.DeltaNll!;
        return (speed ? report.Speed!.Value : 100 * report.DropRate!.Value, y.Value, y.Low, y.High);
    }

    private static Dictionary<string, string> Colours(IEnumerable<string> kinds)
    {
        int next = 0;
        return kinds.ToDictionary(kind => kind, kind => s_controls.TryGetValue(kind, out string? control) ? control : s_colours[next++ % s_colours.Length]);
    }
}
