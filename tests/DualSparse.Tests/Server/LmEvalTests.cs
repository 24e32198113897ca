using System.Text.Json;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Server;

/// <summary>
/// The two requests of the evaluation harness's openai_completions (it can't be installed here), and what it reads of the answers.
/// </summary>
[Collection("server")]
public class LmEvalTests(ServedMini mini)
{
    private const string Path = "/v1/completions";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Likelihoods_of_continuations_are_the_models()
    {
        int[] context = mini.Model.Tokenizer.Encode("The city of"), continuation = mini.Model.Tokenizer.Encode(" London was very old", addSpecial: false);
        int[] ids = [.. context, .. continuation];
        var answer = await mini.Server.AnswerAsync(Path, JsonSerializer.Serialize(new { model = "mini", prompt = new[] { ids }, temperature = 0, max_tokens = 1, logprobs = 1, seed = 1234, echo = true }));
        var logProbs = answer.GetProperty("choices")[0].GetProperty("logprobs");
        // As it slices them: what the context predicts, without the token that is generated.
        double[] tokens = [.. logProbs.GetProperty("token_logprobs").EnumerateArray().Skip(context.Length).SkipLast(1).Select(p => p.GetDouble())];
        JsonElement[] best = [.. logProbs.GetProperty("top_logprobs").EnumerateArray().Skip(context.Length).SkipLast(1)];
        Assert.Equal((continuation.Length, continuation.Length), (tokens.Length, best.Length));
        Assert.Equal(JsonValueKind.Null, logProbs.GetProperty("token_logprobs")[0].ValueKind);

        using var session = mini.Model.NewSession();
        for (int i = 0; i < continuation.Length; i++)
        {
            session.Replace(ids.AsSpan(0, context.Length + i));
            var next = session.Generate(new GenerationOptions { MaxTokens = 1, LogProbs = 4096 }, Cancel).Single();
            double expected = next.Alternatives.Single(a => a.Id == continuation[i]).LogProb;
            Assert.Equal(expected, tokens[i], 1e-3);
            // Greedy where the token's own is the highest: its rule for "exact match".
            Assert.Equal(next.Alternatives[0].Id == continuation[i], tokens[i] >= best[i].EnumerateObject().Max(p => p.Value.GetDouble()));
        }
    }

    [Fact]
    public async Task Texts_are_written_until_one_of_the_stops()
    {
        string[] prompts = ["Once upon a time", "The city of"];
        var answer = await mini.Server.AnswerAsync(Path, JsonSerializer.Serialize(new { model = "mini", prompt = prompts, temperature = 0, max_tokens = 40, stop = new[] { "\n\n", "." }, seed = 1234 }));
        var choices = answer.GetProperty("choices").EnumerateArray().OrderBy(c => c.GetProperty("index").GetInt32()).ToArray();
        Assert.Equal(prompts.Length, choices.Length);
        foreach (var (prompt, choice) in prompts.Zip(choices))
        {
            using var session = mini.Model.NewSession();
            Assert.Equal(session.Generate(prompt, new GenerationOptions { MaxTokens = 40, StopStrings = ["\n\n", "."] }, Cancel).ReadToEnd(), choice.GetProperty("text").GetString());
        }
    }
}
