using System.Text;
using DualSparse.Evaluation.Sweep;
using DualSparse.Training;

namespace DualSparse.Cli.Commands;

/// <summary>A run as an SVG picture: losses, the gradient's norm and the learning rate over its steps.</summary>
internal static class TrainPicture
{
    /// <summary>Its file, beside the curve's table.</summary>
    public const string FileName = "curve.svg";

    // Okabe and Ito's colours, which most eyes tell apart.
    private const string Training = "#0072b2", HeldOut = "#d55e00", Other = "#303030";

    // Points that a panel shows apart: of longer runs each is the mean of some steps.
    private const int Points = 150;

    private const int Header = 48, Panels = 3;

    /// <summary>Draws a run.</summary>
    /// <param name="title">What is trained.</param>
    /// <param name="steps">Its steps in order.</param>
    public static string Draw(string title, IReadOnlyList<TrainingStep> steps)
    {
        int width = Panels * SvgPanel.Width, height = Header + SvgPanel.Height, left = 12;
        var svg = new StringBuilder();
        svg.Append($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n");
        svg.Append($"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n");
        SvgPanel.Text(svg, left, 20, "start", title, " font-size=\"13\" font-weight=\"bold\"");
        foreach (var (name, colour) in new[] { ("training", Training), ("held out", HeldOut) })
        {
            SvgPanel.Rule(svg, left, 36, left + 18, 36, colour, 2.5);
            SvgPanel.Text(svg, left + 23, 40, "start", name);
            left += 90;
        }

        var heldOut = new SvgLine([.. steps.Where(s => s.HeldOutLoss is not null).Select(s => At(s.Step, s.HeldOutLoss!.Value))], HeldOut);
        new SvgPanel("cross-entropy, nats a token", "step", logarithmic: false).Write(svg, 0, Header, [Line(steps, s => s.Loss, Training), heldOut]);
        new SvgPanel("norm of the gradient", "step", logarithmic: true).Write(svg, SvgPanel.Width, Header, [Line(steps, s => s.GradientNorm, Other)]);
        new SvgPanel("learning rate", "step", logarithmic: false).Write(svg, 2 * SvgPanel.Width, Header, [Line(steps, s => s.LearningRate, Other)]);
        return svg.Append("</svg>\n").ToString();
    }

    private static SvgLine Line(IReadOnlyList<TrainingStep> steps, Func<TrainingStep, double> value, string colour) =>
        new([.. steps.Chunk(Math.Max(1, (steps.Count + Points - 1) / Points)).Select(part => At(part.Average(s => s.Step), part.Average(value)))], colour);

    private static (double X, double Y, double Low, double High) At(double x, double y) => (x, y, y, y);
}
