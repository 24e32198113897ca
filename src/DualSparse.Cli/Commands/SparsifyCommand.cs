using System.CommandLine;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Sparsify;

namespace DualSparse.Cli.Commands;

/// <summary><c>dualsparse sparsify MODEL -o OUT</c>: the same model, its experts' neurons in order of importance.</summary>
internal static class SparsifyCommand
{
    public static Command Create()
    {
        var command = new Command("sparsify", "Writes the same model with every expert's most important neurons first, or with every expert cut into several.");
        var folder = new ModelArgument(command, positional: true);
        var output = new Option<string>("--output", "-o") { Description = "The folder to write to; it must be new or empty.", HelpName = "folder", Required = true };
        var ids = new Option<string?>("--calibration-ids")
        {
            Description = "Calibrate on a safetensors file's calibration_ids or input_ids, [windows, tokens]. [default: a sample of text that ships]",
            HelpName = "file",
        };
        var text = new TextFilesOption("--calibration-text", "Calibrate on these texts; a line <|endoftext|> ends a document.");
        var windows = NumberOption.Create<int>("--windows", $"Windows of text, a quarter of them kept apart to measure the loss on. [default: {CalibrationInput.DefaultWindows}]");
        var context = NumberOption.Create<int>(
            "--context", $"Tokens in a window of text. [default: {CalibrationInput.DefaultContext}, or the model's context where that is less]");
        var metric = new Option<string>("--metric")
        {
            Description = "What makes a neuron important: the sum of 1 SiLU(gate), 2 its magnitude, 3 SiLU(gate)·up, 4 its magnitude; 1w to 4w: times the norm of its down weights.",
            DefaultValueFactory = _ => ImportanceMetric.Default.ToString(),
        };
        var noSearch = new Option<bool>("--no-search") { Description = "Reorder only: search no thresholds and measure no loss." };
        command.Options.Add(output);
        command.Options.Add(noSearch);
        command.Options.Add(ids);
        text.AddTo(command);
        command.Options.Add(windows);
        command.Options.Add(context);
        command.Options.Add(metric);
        var complete = new CompleteArguments(command);
        var engine = new EngineArguments(command);
        command.SetAction(parsed =>
        {
            var (files, path) = text.FilesAndModel(parsed, folder);
            if (complete.Given(parsed))
                return complete.Run(parsed, ModelFolder.Find(path), parsed.GetValue(output)!);
            var chosen = ImportanceMetric.Parse(parsed.GetValue(metric)!.ToLowerInvariant());
            var input = new CalibrationInput(parsed.GetValue(ids), files, parsed.GetValue(windows), parsed.GetValue(context));
            return Run(parsed.InvocationConfiguration, ModelFolder.Find(path), parsed.GetValue(output)!, input, chosen, engine.Engine(parsed), !parsed.GetValue(noSearch));
        });
        return command;
    }

    private static int Run(InvocationConfiguration streams, string folder, string output, CalibrationInput input, ImportanceMetric metric, EngineOptions engine, bool search)
    {
        using var interrupt = new Interrupt();
        var (windows, source) = input.Read(folder);
        if (!search)
            windows = windows with { HeldOut = [] };
        IReadOnlyList<string> leftOut = [];
        var report = ProgressBars.Show(streams.Error, progress => Sparsifier.Run(folder, output, windows, source, metric, engine, progress, interrupt.Token, left => leftOut = left));
        streams.Output.WriteLine($"{output}: {report.Layers.Count} layers reordered by metric {metric}, after {report.Calibration.Tokens} tokens");
        WriteLeftOut(streams.Output, leftOut);
        int fallback = report.Layers.Sum(layer => layer.WeightNormExperts.Count);
        if (fallback > 0)
            streams.Output.WriteLine($"{fallback} experts saw too few of them and are ordered by their weights' norms");
        if (report.Methods is { } methods)
        {
            var table = new ResultTable(["--drop", .. methods.Select(m => $"KL to the dense run, {m.Name}")]);
            foreach (double rate in new[] { 0.1, 0.25, 0.5 })
                table.Add([$"{rate}", .. methods.Select(m => Figures.Show(m.Points.First(p => Math.Abs(p.Drop - rate) < 1e-9).Loss!.Kl, "0.00000"))]);
            table.Write(streams.Output);
            streams.Output.WriteLine($"from here: {Program()} generate --model {output} --drop 0.25 \"text\"");
            return 0;
        }

        if (search)
            streams.Output.WriteLine("no thresholds are searched and no loss is measured, as there is no text to keep apart: 4 windows of text or more have both");
        foreach (var t in report.Thresholds.Where(t => t.Drop is 0.1 or 0.25 or 0.5 or 0.75))
            streams.Output.WriteLine($"to drop {t.Drop:0 %}: --t-major {t.Major:0.0000} --t-minor {t.Minor:0.0000}");
        return 0;
    }

    /// <summary>Says which files of the old folder the new one hasn't, if any.</summary>
    internal static void WriteLeftOut(TextWriter output, IReadOnlyList<string> names)
    {
        if (names.Count > 0)
            output.WriteLine($"not copied, as old weights or none of the model's files: {string.Join(", ", names)}");
    }

    /// <summary>The program as the README calls it: the script is not on the path.</summary>
    internal static string Program() => OperatingSystem.IsWindows() ? "dualsparse" : "./dualsparse";
}
