using System.Globalization;

namespace DualSparse.Training;

/// <summary>A step of a run, as it went.</summary>
public sealed record TrainingStep
{
    /// <summary>Its number, from 1.</summary>
    public required int Step { get; init; }

    /// <summary>Steps of the whole run.</summary>
    public required int Steps { get; init; }

    /// <summary>Tokens that the run has read, this step's included.</summary>
    public required long Tokens { get; init; }

    /// <summary>Mean cross-entropy of the step's tokens before the weights changed, in nats.</summary>
    public required double Loss { get; init; }

    /// <summary>The family's balance loss, before its factor.</summary>
    public required double Balance { get; init; }

    /// <summary>The routers' z-loss, before its factor.</summary>
    public required double RouterZ { get; init; }

    /// <summary>The norm of the whole gradient, before it was clipped.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>The learning rate.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Mean cross-entropy of the held-out windows after the step, in nats; null: it wasn't measured.</summary>
    public double? HeldOutLoss { get; init; }

    /// <summary>Seconds that the run has taken until now, measuring and writing included, over all processes that it ran in.</summary>
    public double Seconds { get; init; }

    /// <summary>Tokens a second of this step, everything but held-out losses and checkpoints included.</summary>
    public double TokensPerSecond { get; init; }

    /// <summary>Operations a second of this step's products, over what the kernel reaches on a product of 1024 by 1024 by 1024; null: not known.</summary>
    public double? ShareOfRate { get; init; }

    /// <summary>How long the run will still take at the speed of its last steps.</summary>
    public TimeSpan Remaining { get; init; }

    /// <summary>The step in a line.</summary>
    public override string ToString()
    {
        List<string> pieces = [Text($"step {Step}/{Steps}"), Text($"loss {Loss:0.0000}")];
        if (HeldOutLoss is { } heldOut)
            pieces.Add(Text($"held-out {heldOut:0.0000}"));
        if (TokensPerSecond > 0)
            pieces.Add(Text($"{TokensPerSecond:0} tokens/s"));
        if (ShareOfRate is { } share)
            pieces.Add(Text($"{share:0 %} of the kernel's rate"));
        if (Remaining > TimeSpan.Zero)
            pieces.Add($"{Time(Remaining)} left");
        return string.Join(" · ", pieces);
    }

    private static string Time(TimeSpan time) => time switch
    {
        { TotalHours: >= 1 } => Text($"{(int)time.TotalHours} h {time.Minutes:00} min"),
        { TotalMinutes: >= 1 } => Text($"{time.Minutes} min {time.Seconds:00} s"),
        _ => Text($"{Math.Ceiling(time.TotalSeconds):0} s"),
    };

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
