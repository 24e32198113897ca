using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Sparsify;

/// <summary>The input of a calibration: ids, texts, or the built-in sample.</summary>
/// <param name="IdsFile">A safetensors file of windows, all for calibration; null: text.</param>
/// <param name="TextFiles">Text files; none: the sample.</param>
/// <param name="Windows">The most windows of text; null: <see cref="DefaultWindows"/>.</param>
/// <param name="ContextTokens">Ids in a window of text; null: <see cref="DefaultContext"/>, or the model's context if that is less.</param>
internal sealed record CalibrationInput(string? IdsFile = null, IReadOnlyList<string>? TextFiles = null, int? Windows = null, int? ContextTokens = null)
{
    /// <summary>The default number of windows of text: nearly all of the sample with a vocabulary of 4,096 ids.</summary>
    public const int DefaultWindows = 256;

    /// <summary>The default number of ids in a window of text.</summary>
    public const int DefaultContext = 512;

    /// <summary>Reads the windows for a model's folder.</summary>
    /// <returns>The windows, and their name in reports. With an ids file the held-out windows are the sample's, or none if the folder has no tokenizer.</returns>
    /// <exception cref="ModelFormatException">A file can't be read or is damaged, or there is no tokenizer for the text.</exception>
    /// <exception cref="ArgumentException">Both ids and texts are given, or a number is out of its range.</exception>
    public (CalibrationSplit Windows, string Source) Read(string modelFolder)
    {
        if (IdsFile is not null && TextFiles is [_, ..])
            throw new ArgumentException("calibration takes ids or texts, not both");
        if (Windows is < 1)
            throw new ArgumentException($"{Windows} windows of calibration text, expected at least 1");
        if (IdsFile is null)
        {
            var text = TextFiles is [_, ..] ? CalibrationText.Read(TextFiles) : CalibrationText.Sample();
            return (Cut(text, modelFolder), text.Name);
        }

        bool readable = File.Exists(Path.Combine(ModelPath.Follow(modelFolder), "tokenizer.json"));
        return (new CalibrationSplit(CalibrationIds.Read(IdsFile), readable ? Cut(CalibrationText.Sample(), modelFolder).HeldOut : []), Path.GetFileName(IdsFile));
    }

    private CalibrationSplit Cut(CalibrationText text, string modelFolder)
    {
        var config = ModelConfig.Load(modelFolder);
        int context = ContextTokens ?? Math.Min(DefaultContext, config.MaxPositions);
        if (context < 1 || context > config.MaxPositions)
            throw new ArgumentException($"windows of {context} tokens, expected 1 to the model's context of {config.MaxPositions}");
        return CalibrationSplit.Interleaved(text.Windows(Tokenizer.Load(modelFolder), config.Generation, context, Windows ?? DefaultWindows));
    }
}
