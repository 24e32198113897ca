using DualSparse.Engine;
using DualSparse.Engine.Serving;

namespace DualSparse.Tests.Server.Soak;

/// <summary>A greedy request whose answer is known.</summary>
/// <param name="Prompt">The prompt, for /v1/completions; by <see cref="SoakAnswers.Template"/> also a message.</param>
/// <param name="Tokens">Tokens that it asks for.</param>
/// <param name="Drop">The share that it drops.</param>
/// <param name="Text">The answer.</param>
internal sealed record SoakAnswer(string Prompt, int Tokens, double Drop, string Text);

/// <summary>What requests are answered by the model alone: each by a session of its own, with nothing beside it.</summary>
internal static class SoakAnswers
{
    /// <summary>A message alone is its text: the same prompt on both endpoints.</summary>
    public const string Template = "{% for m in messages %}{{ m.content }}{% endfor %}";

    private static readonly string[] s_prompts =
    [
        "Once upon a time", "The city of", "It was a dark night, and", "She said that", "In the beginning of the year", "The king and his", "Of all the men that I have known,", "When the sun rose",
        // Longer than a page of 128 positions, with the same beginning: shared with each other, and copied where they part.
        string.Concat(Enumerable.Repeat("The old man went to the sea every morning and looked at the ships. ", 14)) + "Then he",
        string.Concat(Enumerable.Repeat("The old man went to the sea every morning and looked at the ships. ", 14)) + "But one day",
    ];

    private static readonly int[] s_tokens = [1, 9, 40];
    private static readonly double[] s_drops = [0, 0.25];

    /// <summary>Computes them.</summary>
    public static IReadOnlyList<SoakAnswer> Compute()
    {
        using var model = MoeModel.Load(TestPaths.Model);
        return [.. from prompt in s_prompts from tokens in s_tokens from drop in s_drops select Alone(model, prompt, tokens, drop)];
    }

    private static SoakAnswer Alone(MoeModel model, string prompt, int tokens, double drop)
    {
        using var session = model.NewSession();
        session.Drop = drop == 0 ? DropRequest.None : new DropRequest { Rate = drop };
        return new SoakAnswer(prompt, tokens, drop, session.Generate(prompt, new GenerationOptions { MaxTokens = tokens, EosIds = [] }).ReadToEnd());
    }
}
