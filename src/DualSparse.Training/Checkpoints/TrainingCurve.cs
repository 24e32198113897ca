using System.Globalization;
using System.Text;
using DualSparse.Models;

namespace DualSparse.Training.Checkpoints;

/// <summary>The steps of a run, as a table of comma-separated values.</summary>
internal sealed class TrainingCurve
{
    /// <summary>Its file, in a checkpoint's folder and beside them.</summary>
    public const string FileName = "curve.csv";

    private static readonly string[] s_columns =
        ["step", "tokens", "loss", "balance", "router_z", "gradient_norm", "learning_rate", "held_out", "seconds"];

    private readonly List<TrainingStep> steps = [];

    /// <summary>The steps in order.</summary>
    public IReadOnlyList<TrainingStep> Steps => steps;

    /// <summary>Adds a step.</summary>
    public void Add(TrainingStep step) => steps.Add(step);

    /// <summary>Writes the table: to a file that is either the old or the whole new one.</summary>
    /// <exception cref="IOException">Writing failed.</exception>
    public void Write(string path)
    {
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        try
        {
            using (var file = new StreamWriter(temporary, append: false, new UTF8Encoding(false)) { NewLine = "\n" })
            {
                file.WriteLine(string.Join(',', s_columns));
                foreach (var s in steps)
                    file.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{s.Step},{s.Tokens},{s.Loss},{s.Balance},{s.RouterZ},{s.GradientNorm},{s.LearningRate},{s.HeldOutLoss},{s.Seconds:0.000}"));
                file.Flush();
                ((FileStream)file.BaseStream).Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            File.Delete(temporary);
            throw new IOException($"{path}: it could not be written ({e.Message.TrimEnd('.')})", e);
        }
    }

    /// <summary>Reads a table back.</summary>
    /// <param name="path">The file.</param>
    /// <param name="all">Steps of the whole run.</param>
    /// <exception cref="ModelFormatException">It can't be read, or isn't such a table.</exception>
    public static TrainingCurve Read(string path, int all)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }

        var curve = new TrainingCurve();
        for (int i = 1; i < lines.Length; i++)
        {
            string[] cells = lines[i].Split(',');
            double[] numbers = [.. cells.Select(cell => double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : double.NaN)];
            if (cells.Length != s_columns.Length || numbers[0] != i)
                throw new ModelFormatException($"{path}: line {i + 1} is '{lines[i]}', expected step {i} with {s_columns.Length} values");
            curve.Add(new TrainingStep
            {
                Step = i,
                Steps = all,
                Tokens = (long)numbers[1],
                Loss = numbers[2],
                Balance = numbers[3],
                RouterZ = numbers[4],
                GradientNorm = numbers[5],
                LearningRate = numbers[6],
                HeldOutLoss = cells[7].Length == 0 ? null : numbers[7],
                Seconds = numbers[8],
            });
        }

        return curve;
    }
}
