using DualSparse.Engine;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Vision;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Evaluation;

/// <summary>The difference between our logits and another engine's.</summary>
/// <param name="Tokens">The number of rows of logits compared.</param>
/// <param name="RelativeError">RMS of the differences over the standard deviation of the reference's logits.</param>
/// <param name="KullbackLeibler">Mean KL(reference ‖ ours), nats a token.</param>
/// <param name="TopOneAgreement">The share of rows whose most probable id is the same.</param>
/// <param name="GreedyTokens">The number of greedily continued tokens compared; 0 if the reference has none.</param>
/// <param name="GreedyMismatches">The number of those that differ.</param>
internal sealed record VerificationReport(
    int Tokens, double RelativeError, double KullbackLeibler, double TopOneAgreement, int GreedyTokens, int GreedyMismatches);

/// <summary>
/// Compares a model with the reference file of another engine: <c>input_ids</c> [rows, n] integers, <c>logits</c> [rows, n, vocabulary]
/// f32, and optionally <c>greedy</c> [rows, m], the greedy continuation of each row's first <see cref="GreedyPrompt"/> ids. In place of
/// input_ids a file about training has <c>ids</c> [rows, n + 1], the last of which is only predicted. With pictures: <see cref="ReferencePictures"/>.
/// </summary>
internal static class Verification
{
    /// <summary>The number of a row's ids that its greedy continuation starts from.</summary>
    public const int GreedyPrompt = 8;

    /// <summary>Runs the comparison.</summary>
    /// <exception cref="ModelFormatException">The reference lacks a tensor, or its shape doesn't fit the model.</exception>
    public static VerificationReport Compare(Transformer model, string referenceFile)
    {
        using var file = SafetensorsFile.Open(referenceFile);
        var logits = file.Get("logits");
        int[][] prompts = Prompts(file);
        int rows = prompts.Length, length = rows == 0 ? 0 : prompts[0].Length, vocabulary = model.Config.VocabSize;
        logits.Expect(rows, length, vocabulary);

        if (file.Tensors.TryGetValue("greedy", out var greedy))
        {
            if (greedy.Shape.Count != 2 || greedy.Rows != rows)
                throw new ModelFormatException($"{referenceFile}: greedy has the shape [{string.Join(", ", greedy.Shape)}], expected [{rows}, ids], a row for each of input_ids");
            if (length < GreedyPrompt)
                throw new ModelFormatException($"{referenceFile}: input_ids has {length} ids a row, expected at least {GreedyPrompt}, which the greedy row continues");
        }

        var pictures = ReferencePictures.Read(file, model.Config, prompts).Placed(all => [.. all.Select(model.Encode)]);
        var sums = new Sums();
        for (int row = 0; row < rows; row++)
        {
            using var cache = model.NewCache(length);
            var ours = model.Forward([new SequenceChunk(cache, prompts[row], LogitRows.All, Pictures: pictures[row])]);
            float[] theirs = new float[vocabulary];
            for (int t = 0; t < length; t++)
            {
                logits.ReadFloats(((long)row * length + t) * vocabulary, theirs);
                sums.Add(theirs, ours.Slice(t * vocabulary, vocabulary));
            }
        }

        int greedyTokens = 0, mismatches = 0;
        if (greedy is not null)
        {
            greedyTokens = checked((int)greedy.Count);
            int[][] continuations = greedy.ReadIdRows();
            for (int row = 0; row < rows; row++)
                mismatches += GreedyMismatches(model, prompts[row][..GreedyPrompt], continuations[row], pictures[row]?.Before(GreedyPrompt));
        }

        return sums.Report(greedyTokens, mismatches);
    }

    /// <summary>
    /// The error of rounding alone: the difference of the scalar kernels' logits with these weights from our own in f32, as
    /// <see cref="VerificationReport.RelativeError"/>. Of the reference it uses the prompts only, so that a wrong model can't widen its own
    /// tolerance. One layer at a time is in memory.
    /// </summary>
    /// <exception cref="ModelFormatException">The model can't be read, or the reference lacks its ids.</exception>
    public static double RoundingError(string folder, EngineOptions options, string referenceFile)
    {
        using var file = SafetensorsFile.Open(referenceFile);
        int[][] prompts = Prompts(file);
        var pictures = ReferencePictures.Read(file, ModelConfig.Load(folder), prompts);
        // One layer at a time fits any process.
        options = options with { Rank = null, Peers = null };
        float[][] exact = Logits(folder, options with { Weights = WeightFormat.F32 }, prompts, pictures);
        float[][] rounded = Logits(folder, options with { Kernels = KernelSet.Named("scalar") }, prompts, pictures);
        var sums = new Sums();
        for (int row = 0; row < prompts.Length; row++)
        {
            int vocabulary = exact[row].Length / prompts[row].Length;
            for (int t = 0; t < exact[row].Length; t += vocabulary)
                sums.Add(exact[row].AsSpan(t, vocabulary), rounded[row].AsSpan(t, vocabulary));
        }

        return sums.Report(0, 0).RelativeError;
    }

    private static int[][] Prompts(SafetensorsFile file)
    {
        bool training = file.Tensors.ContainsKey("ids") && !file.Tensors.ContainsKey("input_ids");
        var ids = file.Get(training ? "ids" : "input_ids");
        if (ids.Shape.Count != 2)
            throw new ModelFormatException($"{file.Path}: {ids.Name} has {ids.Shape.Count} dimensions, expected [rows, ids]");
        if (training && ids.RowLength < 2)
            throw new ModelFormatException($"{file.Path}: ids has {ids.RowLength} ids a row, expected at least 2: the last is only predicted");
        int[][] rows = ids.ReadIdRows();
        return training ? [.. rows.Select(row => row[..^1])] : rows;
    }

    // The logits of each prompt, [ids, vocabulary].
    private static float[][] Logits(string folder, EngineOptions options, int[][] prompts, ReferencePictures pictures)
    {
        using var stream = LayerStream.Open(folder, options);
        int vocabulary = stream.Config.VocabSize;
        float[][] all = [.. prompts.Select(ids => new float[checked(ids.Length * vocabulary)])];
        var hooks = new StreamHooks { Logits = (row, _, first, _, logits) => logits.CopyTo(all[row].AsSpan(first * vocabulary)) };
        stream.Run(prompts, [stream.Plan(DropRequest.None)], hooks, pictures: pictures.Placed(stream.Encode));
        return all;
    }

    private static int GreedyMismatches(Transformer model, int[] prompt, int[] expected, TextPictures? pictures)
    {
        using var cache = model.NewCache(prompt.Length + expected.Length);
        int mismatches = 0;
        if (pictures?.All.Any(picture => picture.First + picture.Picture.Tokens > prompt.Length) == true)
            throw new ModelFormatException($"a greedy row continues the first {prompt.Length} ids of a prompt, which end inside a picture, expected them to hold it whole");
        var next = new SequenceChunk(cache, prompt, Pictures: pictures);
        foreach (int id in expected)
        {
            int best = Distributions.Best(model.Forward([next]));
            if (best != id)
                mismatches++;
            next = new SequenceChunk(cache, new[] { id }, Generated: true, Pictures: pictures);
        }

        return mismatches;
    }

    private sealed class Sums
    {
        private int rows, agreements;
        private double squares, sum, sumOfSquares, divergence;
        private long count;

        public void Add(ReadOnlySpan<float> theirs, ReadOnlySpan<float> ours)
        {
            for (int i = 0; i < theirs.Length; i++)
            {
                double difference = (double)ours[i] - theirs[i];
                squares += difference * difference;
                sum += theirs[i];
                sumOfSquares += (double)theirs[i] * theirs[i];
            }

            count += theirs.Length;
            rows++;
            divergence += Distributions.KullbackLeibler(theirs, ours);
            if (Distributions.Best(theirs) == Distributions.Best(ours))
                agreements++;
        }

        public VerificationReport Report(int greedyTokens, int mismatches)
        {
            double mean = sum / count;
            double deviation = Math.Sqrt(sumOfSquares / count - mean * mean);
            return new VerificationReport(
                rows, Math.Sqrt(squares / count) / deviation, divergence / rows, (double)agreements / rows, greedyTokens, mismatches);
        }
    }
}
