using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using DualSparse.Models;
using DualSparse.Training.Data;

namespace DualSparse.Training.Checkpoints;

/// <summary>What a checkpoint says beside its tensors: everything that a run needs to go on to the bit, and by what it knows that it may.</summary>
internal sealed record TrainingState
{
    /// <summary>Its file in a checkpoint's folder.</summary>
    public const string FileName = "state.json";

    /// <summary>The form that this program writes.</summary>
    public const int CurrentVersion = 1;

    // A few kilobytes; more is no such file.
    private const long MaxBytes = 4 << 20;

    private static readonly JsonSerializerOptions s_json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>The form of the checkpoint.</summary>
    public int Version { get; init; } = CurrentVersion;

    /// <summary>Steps made.</summary>
    public required int Step { get; init; }

    /// <summary>Windows read: where in the run's order the next step begins.</summary>
    public required long Windows { get; init; }

    /// <summary>Seconds that the run has taken, over all its processes.</summary>
    public required double Seconds { get; init; }

    /// <summary>How it trains, all chosen.</summary>
    public required TrainingOptions Options { get; init; }

    /// <summary>What multiplies.</summary>
    public required string Kernel { get; init; }

    /// <summary>SHA-256 of config.json.</summary>
    public required string Config { get; init; }

    /// <summary>SHA-256 of the tokenizer's files.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>The texts trained on.</summary>
    public required IReadOnlyList<TextFileFacts> Texts { get; init; }

    /// <summary>The texts measured on.</summary>
    public required IReadOnlyList<TextFileFacts> Validation { get; init; }

    /// <summary>The check sums of the tensors' files, by name.</summary>
    public required SortedDictionary<string, uint> CheckSums { get; init; }

    /// <summary>Writes the file, through to the disk.</summary>
    /// <exception cref="IOException">Writing failed.</exception>
    public void Write(string folder)
    {
        using var file = File.Create(Path.Combine(folder, FileName));
        JsonSerializer.Serialize(file, this, s_json);
        file.Flush(flushToDisk: true);
    }

    /// <summary>Reads the file of a checkpoint's folder.</summary>
    /// <exception cref="ModelFormatException">It is missing, damaged, or of a form that this program doesn't know.</exception>
    public static TrainingState Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        var state = JsonText.Read(ModelFile.Read(path, MaxBytes), path, static json => JsonSerializer.Deserialize<TrainingState>(json, s_json));
        return state is { Version: CurrentVersion } ? state : throw new ModelFormatException($"{path}: it is of form {state?.Version}, expected {CurrentVersion}");
    }
}
