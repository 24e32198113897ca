using System.Globalization;
using System.Text;
using DualSparse.Evaluation.Sweep;

namespace DualSparse.Tests.Docs;

/// <summary>The README's picture: what the dial costs in loss, measured and expected, over what it saves in time.</summary>
internal static class LossTimePicture
{
    private const string Page = "benchmarks/results/amd-epyc-zen4/layer-olmoe-bf16.md";
    private const int Width = 700, Height = 430, Left = 74, Top = 62, Right = 20, Bottom = 58;
    private const double LeastTime = 0.2, MostTime = 1.02, LeastLoss = 0.0002, MostLoss = 0.7;

    // Blue and orange stay apart for most eyes.
    private const string Books = "#0072b2", Technical = "#d55e00", Valley = "#909090", ValleyText = "#606060", Grid = "#e4e4e4";

    private static readonly double[] s_rates = [0.1, 0.25, 0.5, 0.75];

    /// <summary>The picture as SVG.</summary>
    public static string Draw()
    {
        var svg = new StringBuilder();
        svg.Append(Invariant($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{Height}\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"17\">\n"));
        svg.Append(Invariant($"<rect width=\"{Width}\" height=\"{Height}\" fill=\"white\"/>\n"));
        SvgPanel.Text(svg, Left, 24, "start", "Loss: KL to the dense run, nats a token", " font-weight=\"bold\"");
        SvgPanel.Text(svg, (Left + Width - Right) / 2.0, Height - 14, "middle", "time of the layer's experts, dense = 1");
        foreach (double time in new[] { 0.2, 0.4, 0.6, 0.8, 1 })
        {
            SvgPanel.Rule(svg, X(time), Top, X(time), Height - Bottom, Grid);
            SvgPanel.Text(svg, X(time), Height - Bottom + 20, "middle", time.ToString("0.0", CultureInfo.InvariantCulture));
        }

        foreach (double loss in new[] { 0.001, 0.01, 0.1 })
        {
            SvgPanel.Rule(svg, Left, Y(loss), Width - Right, Y(loss), Grid);
            SvgPanel.Text(svg, Left - 8, Y(loss) + 5, "end", loss.ToString("0.###", CultureInfo.InvariantCulture));
        }

        svg.Append(Invariant($"<rect x=\"{Left}\" y=\"{Top}\" width=\"{Width - Right - Left}\" height=\"{Height - Bottom - Top}\" fill=\"none\" stroke=\"#808080\"/>\n"));
        // A batch of 32 tokens reads nearly every expert whatever is skipped.
        Line(svg, [.. s_rates.Select(r => (Time(r, "32"), Loss(r, "tech", "kl.value")))], Valley, " stroke-dasharray=\"2 4\"");
        foreach (var (text, colour) in new[] { ("books", Books), ("tech", Technical) })
        {
            Line(svg, [.. s_rates.Select(r => (Time(r, "4096"), Loss(r, text, "expected.kl.value")))], colour, " stroke-dasharray=\"7 5\"");
            Line(svg, [.. s_rates.Select(r => (Time(r, "4096"), Loss(r, text, "kl.value")))], colour, "");
            foreach (double rate in s_rates)
            {
                double x = X(Time(rate, "4096"));
                svg.Append(Invariant($"<circle cx=\"{x:0.#}\" cy=\"{Y(Loss(rate, text, "expected.kl.value")):0.#}\" r=\"6\" fill=\"white\" stroke=\"{colour}\" stroke-width=\"2\"/>\n"));
                SvgPanel.Rule(svg, x, Y(Loss(rate, text, "kl.low")), x, Y(Loss(rate, text, "kl.high")), colour, 2);
                svg.Append(Invariant($"<circle cx=\"{x:0.#}\" cy=\"{Y(Loss(rate, text, "kl.value")):0.#}\" r=\"4\" fill=\"{colour}\"/>\n"));
            }
        }

        foreach (double rate in s_rates)
        {
            string label = $"skip {NumberBinding.Show(rate, "0 %")}", weight = rate == 0.25 ? " font-weight=\"bold\"" : "";
            double x = X(Time(rate, "4096")), above = Y(Math.Max(Loss(rate, "tech", "kl.value"), Loss(rate, "tech", "expected.kl.value"))) - 12;
            // The last stands where no line passes.
            if (rate == s_rates[0])
                SvgPanel.Text(svg, x - 14, Y(Loss(rate, "books", "kl.value")) + 6, "end", label);
            else
                SvgPanel.Text(svg, x - 4, above, "start", label, weight);
        }

        SvgPanel.Text(svg, X(Time(0.75, "32")) + 14, Y(Loss(0.75, "tech", "kl.value")), "start", "32 tokens: bound by memory", $" fill=\"{ValleyText}\" font-size=\"16\"");
        Legend(svg);
        return svg.Append("</svg>\n").ToString();
    }

    private static void Legend(StringBuilder svg)
    {
        int left = Left + 4, y = 49;
        foreach (var (text, colour) in new[] { ("books", Books), ("technical text", Technical) })
        {
            svg.Append(Invariant($"<circle cx=\"{left + 5}\" cy=\"{y - 5}\" r=\"5\" fill=\"{colour}\"/>\n"));
            SvgPanel.Text(svg, left + 15, y, "start", text);
            left += text.Length * 8 + 42;
        }

        svg.Append(Invariant($"<circle cx=\"{left + 6}\" cy=\"{y - 5}\" r=\"6\" fill=\"white\" stroke=\"#404040\" stroke-width=\"2\"/>\n"));
        SvgPanel.Text(svg, left + 18, y, "start", "expected beforehand");
    }

    private static void Line(StringBuilder svg, (double Time, double Loss)[] points, string colour, string more) =>
        svg.Append(Invariant($"<path d=\"M{string.Join('L', points.Select(p => Invariant($"{X(p.Time):0.#} {Y(p.Loss):0.#}")))}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"{more}/>\n"));

    private static double Time(double rate, string tokens) => ResultNumber.Of($"{Page}; tokens={tokens}; drop~{NumberBinding.Show(rate, "0%")}; time(r)/time(0)");

    private static double Loss(double rate, string text, string figure) =>
        ResultNumber.Of(Invariant($"docs/results/drop-{rate}.json; texts.{text}.{figure}"));

    private static double X(double time) => Left + (Width - Right - Left) * (time - LeastTime) / (MostTime - LeastTime);

    private static double Y(double loss) => Height - Bottom - (Height - Bottom - Top) * Math.Log(loss / LeastLoss) / Math.Log(MostLoss / LeastLoss);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
