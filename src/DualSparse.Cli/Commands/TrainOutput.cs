using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using DualSparse.Cli.Hosting;
using DualSparse.Engine.Loading;
using DualSparse.Training;
using DualSparse.Training.Checkpoints;

namespace DualSparse.Cli.Commands;

/// <summary>What <c>dualsparse train</c> says: each step in one line that the next overwrites, or, where that is no terminal, a line now and then.</summary>
internal sealed class TrainOutput
{
    // Often enough to be watched; and in a file often enough to see that it goes on.
    private static readonly TimeSpan s_terminalPause = TimeSpan.FromSeconds(0.1), s_filePause = TimeSpan.FromSeconds(30);

    private readonly InvocationConfiguration streams;
    private readonly Trainer trainer;
    private readonly double kernelRate;
    private readonly bool terminal;
    private readonly string picture;
    private readonly int before;
    private long shown;
    private int width;

    /// <summary>Says what begins.</summary>
    public TrainOutput(InvocationConfiguration streams, Trainer trainer, double kernelRate)
    {
        (this.streams, this.trainer, this.kernelRate, terminal, before) = (streams, trainer, kernelRate, Terminal.Is(streams.Error), trainer.Done);
        picture = Path.Combine(trainer.Output, TrainingFolder.Name, TrainPicture.FileName);
        var o = trainer.Options;
        Terminal.WritePieces(
            streams.Error,
            [
                before == 0 ? $"{o.Steps} steps" : $"step {before} of {o.Steps}", $"{o.BatchTokens} tokens a step in {o.Windows} windows", $"{trainer.Windows} windows an epoch, {trainer.HeldOutWindows} held out",
                $"kernel {trainer.Kernel}, {kernelRate / 1e9:0} GFLOP/s on {Kernels.Probe.ProductProbe.Size} by {Kernels.Probe.ProductProbe.Size} by {Kernels.Probe.ProductProbe.Size}",
            ],
            Terminal.Columns(streams.Error));
    }

    /// <summary>Shows a step.</summary>
    public void Show(TrainingStep step)
    {
        bool stays = step.HeldOutLoss is not null;
        if (stays)
            Draw();
        if (!stays && shown != 0 && Stopwatch.GetElapsedTime(shown) < (terminal ? s_terminalPause : s_filePause))
            return;
        shown = Stopwatch.GetTimestamp();
        string line = step.ToString();
        if (!terminal)
        {
            streams.Error.WriteLine(line);
            return;
        }

        // A line that is broken can't be overwritten.
        line = line[..Math.Min(line.Length, Terminal.Columns(streams.Error) - 1)];
        streams.Error.Write($"\r{line.PadRight(width)}");
        width = line.Length;
        if (stays)
            EndLine();
    }

    /// <summary>Says why the run doesn't go on.</summary>
    public void Interrupted(string sentence)
    {
        EndLine();
        Draw();
        CommandHost.Tell(streams.Error, sentence);
    }

    /// <summary>Says how it went.</summary>
    public void End(bool json)
    {
        EndLine();
        Draw();
        var curve = trainer.Curve;
        TrainingStep[] mine = [.. curve.Skip(before)];
        // The first step of a process compiles code, too.
        TrainingStep[] steady = mine.Length > 1 ? mine[1..] : mine;
        double? speed = steady.Length == 0 ? null : steady.Length / steady.Sum(s => 1 / s.TokensPerSecond), share = steady.Length == 0 ? null : speed * steady.Average(s => s.ShareOfRate / s.TokensPerSecond);
        double? heldOut = curve.LastOrDefault(s => s.HeldOutLoss is not null)?.HeldOutLoss;
        using var process = Process.GetCurrentProcess();
        var last = curve.Count > 0 ? curve[^1] : null;
        if (json)
        {
            streams.Output.WriteLine(JsonSerializer.Serialize(
                new
                {
                    trainer.Output,
                    Steps = trainer.Done,
                    last?.Tokens,
                    last?.Loss,
                    HeldOutLoss = heldOut,
                    last?.Seconds,
                    TokensPerSecond = speed,
                    ShareOfKernelRate = share,
                    KernelOperationsPerSecond = kernelRate,
                    trainer.Kernel,
                    PeakMemoryBytes = process.PeakWorkingSet64,
                    trainer.Options,
                    Curve = Path.Combine(trainer.Output, TrainingFolder.Name, TrainingCurve.FileName),
                },
                Figures.Json));
            return;
        }

        streams.Output.WriteLine($"{trainer.Output}: {trainer.Done} steps, {last?.Tokens} tokens, loss {last?.Loss:0.0000}{(heldOut is { } measured ? $", held-out {measured:0.0000}" : "")}");
        streams.Output.WriteLine($"from here: {SparsifyCommand.Program()} generate --model {trainer.Output} \"text\"");
        Terminal.WritePieces(
            streams.Error,
            [
                .. speed is null ? Array.Empty<string>() : [$"{speed:0} tokens/s", $"{share:0 %} of the kernel's rate"],
                $"{last?.Seconds:0} s", $"peak memory {MemoryBudget.Format(process.PeakWorkingSet64)}", $"seed {trainer.Options.Seed}", $"curve {picture}",
            ],
            Terminal.Columns(streams.Error));
    }

    // The picture is a side of the run: where it can't be written now, it is the next time.
    private void Draw()
    {
        try
        {
            File.WriteAllText(picture, TrainPicture.Draw(Path.GetFileName(trainer.Output), trainer.Curve));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }

    private void EndLine()
    {
        if (width > 0)
            streams.Error.WriteLine();
        width = 0;
    }
}
