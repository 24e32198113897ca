using DualSparse.Models;
using DualSparse.Training.Data;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training.Checkpoints;

/// <summary>A run that is resumed: its newest checkpoint that is whole, and that nothing it depends on has changed.</summary>
/// <param name="checkpoints">Of one run, the newest first; without its word where that is damaged.</param>
internal sealed class ResumedRun(IReadOnlyList<(TrainingState? State, string Path)> checkpoints)
{
    /// <summary>Reads what a folder says, without a tensor.</summary>
    /// <param name="output">The model's folder.</param>
    /// <param name="folder">Its folder of checkpoints.</param>
    /// <returns>The newest checkpoint's word, the model, and where to load from.</returns>
    /// <exception cref="ModelFormatException">There is no checkpoint, or configuration or tokenizer have changed.</exception>
    public static (TrainingState State, RunSetup Setup, ResumedRun Found) Find(string output, TrainingFolder folder)
    {
        List<(TrainingState? State, string Path)> found = [];
        ModelFormatException? damage = null;
        foreach (var (_, path) in folder.Checkpoints)
        {
            try
            {
                found.Add((TrainingState.Read(path), path));
            }
            catch (ModelFormatException e)
            {
                damage ??= e;
                found.Add((null, path));
            }
        }

        var newest = found.Select(checkpoint => checkpoint.State).FirstOrDefault(state => state is not null)
            ?? throw damage ?? new ModelFormatException($"{output}: there is no training run to resume, as '{TrainingFolder.Name}' holds no checkpoint");
        Require(newest.Config == ModelFiles.ConfigHash(output), $"{output}: config.json is not the one that the run was begun with");
        Require(newest.Tokenizer == ModelFiles.TokenizerHash(output), $"{output}: the tokenizer is not the one that the run was begun with");
        string config = Path.Combine(output, ModelPath.Config);
        return (newest, RunSetup.Read(config, ModelFiles.GenerationFile(config, output), output), new ResumedRun(found));
    }

    /// <summary>Refuses another kernel.</summary>
    /// <exception cref="InvalidOperationException">It is another.</exception>
    public static void RequireKernel(string output, string before, string now)
    {
        if (before != now)
            throw new InvalidOperationException($"{output}: the run was begun with the kernel {before}, and here it would go on with {now}, so not to the bit: resume it on such a machine, or train the model further in a new run, by --init");
    }

    /// <summary>Refuses texts that can't be the same.</summary>
    /// <exception cref="ModelFormatException">A length is another, or there are more or fewer.</exception>
    public static void RequireLengths(TrainingState state, IReadOnlyList<string> texts, IReadOnlyList<string> validation) =>
        Compare(state, texts, validation, path => path, (before, path) => !File.Exists(path) || before.Bytes == new FileInfo(path).Length);

    /// <summary>Refuses other texts.</summary>
    /// <exception cref="ModelFormatException">One is another, or there are more or fewer.</exception>
    public static void RequireTexts(TrainingState state, IReadOnlyList<TextFileFacts> texts, IReadOnlyList<TextFileFacts> validation) =>
        Compare(state, texts, validation, text => text.Path, (before, text) => before.Bytes == text.Bytes && before.Sha256 == text.Sha256);

    /// <summary>Loads the newest checkpoint whose tensors are whole; damaged ones before it are removed, so that the run may write them anew.</summary>
    /// <exception cref="ModelFormatException">None is.</exception>
    public (TrainingState State, TrainingCurve Curve) Load(ParameterSet set, AdamW optimizer)
    {
        ModelFormatException? damage = null;
        foreach (var (state, path) in checkpoints)
        {
            if (state is null)
                continue;
            try
            {
                StateTensors.Read(path, state.CheckSums, set, optimizer);
                var curve = TrainingCurve.Read(Path.Combine(path, TrainingCurve.FileName), state.Options.Steps!.Value);
                Require(curve.Steps.Count == state.Step, $"{path}: the curve has {curve.Steps.Count} steps, expected {state.Step}: the file is damaged");
                optimizer.Steps = state.Step;
                foreach (var (_, damaged) in checkpoints.TakeWhile(c => c.Path != path))
                    TrainingFolder.Remove(damaged);
                return (state, curve);
            }
            catch (ModelFormatException e)
            {
                damage ??= e;
            }
        }

        throw damage!;
    }

    private static void Compare<T>(
        TrainingState state, IReadOnlyList<T> texts, IReadOnlyList<T> validation, Func<T, string> path, Func<TextFileFacts, T, bool> same)
    {
        foreach (var (before, now, what) in new[] { (state.Texts, texts, "text"), (state.Validation, validation, "held-out text") })
        {
            Require(before.Count == now.Count, $"the run was begun with {before.Count} files of {what}, found {now.Count}: name them all, in the same order");
            foreach (var (old, found) in before.Zip(now))
                Require(same(old, found), $"{path(found)}: it is not the {what} that the run was begun with, {old.Path} of {old.Bytes} bytes");
        }
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
            throw new ModelFormatException(otherwise);
    }
}
