using System.Text;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Benchmarks.Balancing.Vision;

/// <summary>KL against the highest predicted load, a panel a number of ranks.</summary>
internal static class RealbPicture
{
    // Okabe and Ito's; what is compared with is grey. By how a variant's name begins, the first that fits.
    private static readonly (string Begins, string Name, string Colour)[] s_series =
    [
        ("all ", "every rank: int8, NVFP4", "#303030"),
        ("int8, paper", "int8, paper, M_d .9, .7, 0", "#56b4e9"),
        ("int8, makespan", "int8, makespan", "#0072b2"),
        ("nvfp4, paper", "NVFP4, paper, M_d .9, .7, 0", "#e69f00"),
        ("nvfp4, makespan", "NVFP4, makespan", "#d55e00"),
        ("everywhere", "drop, every rank", "#909090"),
        (", makespan", "drop, makespan", "#009e73"),
        ("and int8", "drop and int8, makespan", "#cc79a7"),
    ];

    private const int Header = 34, LegendWidth = 200, LegendLine = 18;

    /// <summary>Draws a pool of items.</summary>
    public static string Draw(RealbPool pool)
    {
        int[] ranks = [.. pool.Variants.Select(f => f.Ranks).Where(count => count > 0).Distinct().Order()];
        int width = Math.Max(2, ranks.Length) * SvgPanel.Width, across = width / LegendWidth, first = SvgPanel.Height + Header + LegendLine;
        int height = first + (s_series.Length + across - 1) / across * LegendLine;
        var svg = new StringBuilder();
        svg.Append(FormattableString.Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n"));
        svg.Append(FormattableString.Invariant($"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"));
        for (int i = 0; i < ranks.Length; i++)
        {
            SvgPanel.Text(svg, i * SvgPanel.Width + 12, 20, "start", $"{pool.Name}, {ranks[i]} ranks", " font-size=\"14\" font-weight=\"bold\"");
            var lines = pool.Variants.Where(f => f.Name.StartsWith("all ", StringComparison.Ordinal) || f.Ranks == ranks[i] && f.Name != "none").GroupBy(f => Series(f.Name)).Select(group => new SvgLine([.. group.OrderBy(f => 1 / f.Over).Select(Point)], group.Key.Colour));
            new SvgPanel("KL to the unbalanced run, nats a token", "highest load, % of none's", logarithmic: true).Write(svg, i * SvgPanel.Width, Header, [.. lines]);
        }

        for (int i = 0; i < s_series.Length; i++)
        {
            int left = i % across * LegendWidth + 12, y = first + i / across * LegendLine;
            SvgPanel.Rule(svg, left, y - 4, left + 22, y - 4, s_series[i].Colour, 2.5);
            SvgPanel.Text(svg, left + 28, y, "start", s_series[i].Name);
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static (double, double, double, double) Point(RealbFigures figures)
    {
        var kl = figures.KullbackLeibler();
        return (100 / figures.Over, kl.Value, kl.Low, kl.High);
    }

    private static (string Begins, string Name, string Colour) Series(string name) => !name.StartsWith("drop", StringComparison.Ordinal)
        ? s_series.First(series => name.StartsWith(series.Begins, StringComparison.Ordinal))
        : s_series[name.Contains(s_series[^1].Begins, StringComparison.Ordinal) ? ^1 : name.EndsWith(s_series[^3].Begins, StringComparison.Ordinal) ? ^3 : ^2];
}
