using System.Text.Json;
using DualSparse.Distributed;

namespace DualSparse.Training.Ranks;

/// <summary>What all ranks do next, as rank 0 says it.</summary>
internal sealed record TrainingOrder
{
    /// <summary>What to do.</summary>
    public required TrainingOrderKind Kind { get; init; }

    /// <summary>Of <see cref="TrainingOrderKind.Begin"/>: the model's config.json.</summary>
    public byte[] Config { get; init; } = [];

    /// <summary>Of <see cref="TrainingOrderKind.Begin"/>: how the run trains.</summary>
    public TrainingOptions? Options { get; init; }

    /// <summary>Of <see cref="TrainingOrderKind.Begin"/>: steps made before.</summary>
    public int Step { get; init; }

    /// <summary>The windows: of a step one batch, of a held-out loss all that are measured.</summary>
    public IReadOnlyList<WindowBatch> Batches { get; init; } = [];

    /// <summary>Of <see cref="TrainingOrderKind.Step"/>: the learning rate.</summary>
    public double Rate { get; init; }

    /// <summary>Tells the other ranks.</summary>
    public void Send(RankGroup group, RankLetter letter) => letter.SendToAll(group, RankTag.Pass, JsonSerializer.SerializeToUtf8Bytes(this), "the next step of training");

    /// <summary>Waits for what rank 0 says, however long it takes.</summary>
    public static TrainingOrder Receive(RankGroup group, RankLetter letter) => JsonSerializer.Deserialize<TrainingOrder>(letter.Receive(group, from: 0, RankTag.Pass))!;
}
