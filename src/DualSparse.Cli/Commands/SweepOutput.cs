using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Evaluation.Sweep;
using static DualSparse.Cli.Hosting.Figures;

namespace DualSparse.Cli.Commands;

/// <summary>What <c>eval --sweep</c> prints.</summary>
internal static class SweepOutput
{
    public static void Write(TextWriter output, IReadOnlyList<SweepPoint> points, bool json)
    {
        var links = SweepLinks.Of(points);
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(new { Sweep = points.Select(Row), Links = links }, Figures.Json));
            return;
        }

        var table = new ResultTable("text", "method", "dropped", "KL", "ΔNLL", "flips", "speed");
        foreach (var p in points.OrderBy(p => p.Rate).GroupBy(p => p.Report.Name).SelectMany(g => g))
        {
            var report = p.Report;
            table.Add(report.Name, p.Method.Name, $"{report.DropRate:0.00%}", Show(report.KullbackLeibler!, "0.00000"), Show(report.DeltaNll!, "0.0000"),
                Show(report.Flips!, "0.00%"), Show(report.Speed!, "0.00"));
        }

        table.Write(output);
        var beside = new ResultTable("text", "drop", "KL of", "over KL of", "ratio");
        foreach (var l in links)
            beside.Add(l.Text, $"{l.Rate:0.0%}", l.Method, l.Beside, Show(l.Ratio, "0.000"));
        beside.Write(output);
    }

    private static object Row(SweepPoint p) => new
    {
        Text = p.Report.Name,
        Method = p.Method.Name,
        Target = p.Rate,
        p.Report.DropRate,
        Kl = p.Report.KullbackLeibler,
        p.Report.DeltaNll,
        p.Report.Flips,
        p.Report.Speed,
    };
}
