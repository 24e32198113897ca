using DualSparse.Benchmarking;
using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Kernels;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;
using DualSparse.LlamaCpp.Gguf;
using DualSparse.Models;

namespace DualSparse.LlamaCpp;

/// <summary>One run of the program.</summary>
internal static class Run
{
    private const string Shape = "olmoe";

    /// <summary>Compares in each format.</summary>
    /// <exception cref="InvalidOperationException">Logits are further apart than those of two engines with the same model may be.</exception>
    public static int All(Settings settings, CancellationToken cancel)
    {
        LlamaModel.Prepare(settings.Library);
        using var random = settings.Model is null ? RandomCheckpoint.Write(Shape, settings.Layers, settings.Weights[0], cancel) : null;
        string folder = random?.Folder ?? settings.Model!;
        var config = ModelConfig.Load(folder);
        if (settings.Longest > config.MaxPositions)
            throw new ArgumentException($"a text of {settings.Longest} tokens, but the model's context is {config.MaxPositions}: shorten --prompt, --before or --generate");
        string what = random is null ? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))) : $"{Shape}, {settings.Layers} layers, random weights";
        var page = new ComparisonPage(what);
        var files = Directory.CreateTempSubdirectory("dualsparse-");
        try
        {
            foreach (var weights in settings.Weights)
                Compare(settings, folder, weights, Path.Combine(files.FullName, $"{WeightFormats.Of(weights).Name}.gguf"), page, cancel);
        }
        finally
        {
            files.Delete(recursive: true);
        }

        if (settings.Rounds == 0)
            return 0;
        Console.WriteLine();
        Console.Write(page);
        if (settings.Save is { } path)
            page.Save(path);
        return 0;
    }

    private static void Compare(Settings settings, string folder, WeightFormat weights, string file, ComparisonPage page, CancellationToken cancel)
    {
        Console.Error.WriteLine($"{WeightFormats.Of(weights).Name}: writing {MemoryBudget.Format(MemoryNeed.WeightBytes(ModelConfig.Load(folder), weights))} for llama.cpp");
        OlmoeGguf.Write(folder, weights, file, cancel);
        using var ours = Transformer.Load(folder, new EngineOptions { Weights = weights, Threads = settings.Threads }, cancel: cancel);
        using var theirs = new LlamaModel(file, weights, settings.Threads);
        using var team = new ThreadTeam(settings.Threads);
        using var ceilings = new Ceilings(team, weights);
        var comparison = new Comparison(ours, theirs, ceilings, settings.Rounds, cancel);
        var agreement = comparison.Check(settings.Before, settings.Generate);
        Console.WriteLine($"{WeightFormats.Of(weights).Name}: logits differ by {agreement.Error:0.0%}, the same best token in {agreement.SameToken:0.0%} of positions");
        if (!(agreement.Error < Agreement.Tolerance))
            throw new InvalidOperationException($"the two engines' logits differ by {agreement.Error:0%}, expected less than {Agreement.Tolerance:0%}: they don't compute the same model");
        if (settings.Rounds == 0)
            return;
        Pair[] pairs =
        [
            .. settings.Prompts.Select(comparison.Prompt),
            .. settings.Streams.Select(texts => comparison.Generate(texts, settings.Before, settings.Generate)),
        ];
        page.Add(ours.Report, ceilings.Best, agreement, pairs);
    }
}
