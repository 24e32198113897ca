using System.Globalization;
using System.Text;

namespace DualSparse.Evaluation.Sweep;

/// <summary>A line through points.</summary>
/// <param name="Points">x, y and the ends of y's interval, by increasing x.</param>
/// <param name="Colour">Its SVG colour.</param>
internal sealed record SvgLine(IReadOnlyList<(double X, double Y, double Low, double High)> Points, string Colour);

/// <summary>
/// One diagram of an SVG file: axes, ticks, lines. Text is text, not outlines, so that the file doesn't depend on the machine's fonts.
/// </summary>
/// <param name="title">The title above it.</param>
/// <param name="xTitle">The title of the x axis.</param>
/// <param name="logarithmic">Whether the y axis is logarithmic; then values of 0 or less are omitted.</param>
internal sealed class SvgPanel(string title, string xTitle, bool logarithmic)
{
    /// <summary>Its size with titles and ticks, in pixels.</summary>
    public const int Width = 310, Height = 250;

    private const int Left = 52, Top = 26, Right = 12, Bottom = 40;

    // The approximate number of ticks that fit.
    private const int Ticks = 5;

    /// <summary>Adds the panel at a position of its upper left corner.</summary>
    public void Write(StringBuilder svg, int left, int top, IReadOnlyList<SvgLine> lines)
    {
        lines = [.. lines.Select(l => l with { Points = [.. l.Points.Where(p => !logarithmic || p.Low > 0)] }).Where(l => l.Points.Count > 0)];
        svg.Append(Invariant($"<g transform=\"translate({left} {top})\">\n"));
        Text(svg, Width / 2 + Left / 2, 14, "middle", title, " font-weight=\"bold\"");
        Text(svg, Width / 2 + Left / 2, Height - 6, "middle", xTitle);
        if (lines.Count > 0)
        {
            var all = lines.SelectMany(l => l.Points).ToArray();
            var x = new Axis(all.Min(p => p.X), all.Max(p => p.X), false, Left, Width - Right);
            var y = new Axis(all.Min(p => p.Low), all.Max(p => p.High), logarithmic, Height - Bottom, Top);
            foreach (double tick in x.Marks())
            {
                Rule(svg, x.At(tick), Top, x.At(tick), Height - Bottom, "#e4e4e4");
                Text(svg, x.At(tick), Height - Bottom + 14, "middle", Label(tick));
            }

            foreach (double tick in y.Marks())
            {
                Rule(svg, Left, y.At(tick), Width - Right, y.At(tick), "#e4e4e4");
                Text(svg, Left - 5, y.At(tick) + 4, "end", Label(tick));
            }

            foreach (var line in lines)
                Draw(svg, line, x, y);
        }

        svg.Append(Invariant($"<rect x=\"{Left}\" y=\"{Top}\" width=\"{Width - Right - Left}\" height=\"{Height - Bottom - Top}\" fill=\"none\" stroke=\"#808080\"/>\n</g>\n"));
    }

    /// <summary>A line of text.</summary>
    public static void Text(StringBuilder svg, double x, double y, string anchor, string text, string more = "") =>
        svg.Append(Invariant($"<text x=\"{x:0.#}\" y=\"{y:0.#}\" text-anchor=\"{anchor}\"{more}>{System.Security.SecurityElement.Escape(text)}</text>\n"));

    /// <summary>A straight line.</summary>
    public static void Rule(StringBuilder svg, double x1, double y1, double x2, double y2, string colour, double width = 1) =>
        svg.Append(Invariant($"<path d=\"M{x1:0.#} {y1:0.#}L{x2:0.#} {y2:0.#}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\n"));

    /// <summary>A filled rectangle.</summary>
    public static void Box(StringBuilder svg, double x, double y, double width, double height, string colour) =>
        svg.Append(Invariant($"<rect x=\"{x:0.##}\" y=\"{y:0.##}\" width=\"{width:0.##}\" height=\"{height:0.##}\" fill=\"{colour}\"/>\n"));

    /// <summary>The distance between about so many ticks: 1, 2 or 5 times a power of ten.</summary>
    public static double TickStep(double range, int ticks)
    {
        double rough = range / ticks, power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        return power * (rough / power) switch { < 1.5 => 1, < 3.5 => 2, < 7.5 => 5, _ => 10 };
    }

    private static void Draw(StringBuilder svg, SvgLine line, Axis x, Axis y)
    {
        string path = string.Join('L', line.Points.Select(p => Invariant($"{x.At(p.X):0.#} {y.At(p.Y):0.#}")));
        svg.Append(Invariant($"<path d=\"M{path}\" stroke=\"{line.Colour}\" stroke-width=\"1.6\" fill=\"none\"/>\n"));
        foreach (var p in line.Points)
        {
            Rule(svg, x.At(p.X), y.At(p.Low), x.At(p.X), y.At(p.High), line.Colour);
            svg.Append(Invariant($"<circle cx=\"{x.At(p.X):0.#}\" cy=\"{y.At(p.Y):0.#}\" r=\"2.2\" fill=\"{line.Colour}\"/>\n"));
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    // Turns −0 into 0.
    private static string Label(double tick) => (tick == 0 ? 0 : tick).ToString("0.######", CultureInfo.InvariantCulture);

    // Values to pixels; a logarithmic axis is one of logarithms.
    private readonly struct Axis
    {
        private readonly double low, high, from, to;
        private readonly bool logarithmic;

        public Axis(double least, double most, bool logarithmic, double from, double to)
        {
            (this.logarithmic, this.from, this.to) = (logarithmic, from, to);
            (low, high) = logarithmic ? (Math.Log10(least), Math.Log10(most)) : (least, most);
            // Room at both ends, and an axis for a single value.
            double room = high > low ? 0.05 * (high - low) : 0.05 * Math.Max(Math.Abs(high), 0.01);
            (low, high) = (low - room, high + room);
        }

        public double At(double value) => from + (to - from) * ((logarithmic ? Math.Log10(value) : value) - low) / (high - low);

        public IEnumerable<double> Marks()
        {
            if (logarithmic)
            {
                for (int decade = (int)Math.Floor(low); decade <= high; decade++)
                {
                    foreach (double digit in high - low > 2 ? new[] { 1.0 } : [1.0, 2, 5])
                    {
                        double value = digit * Math.Pow(10, decade);
                        if (Math.Log10(value) >= low && Math.Log10(value) <= high)
                            yield return value;
                    }
                }

                yield break;
            }

            double step = TickStep(high - low, Ticks);
            for (double n = Math.Ceiling(low / step); n * step <= high; n++)
                yield return n * step;
        }
    }
}
