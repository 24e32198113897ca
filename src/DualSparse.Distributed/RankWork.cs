namespace DualSparse.Distributed;

/// <summary>What a placement is chosen for: passes, and how often each is made.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Passes">The passes.</param>
internal sealed record RankWork(string Name, IReadOnlyList<(PassShape Pass, int Times)> Passes)
{
    // As the engine cuts prompts.
    private const int Chunk = 512;

    /// <summary>Where nobody says what will be done: a question and an answer, as chats have them, several times as much to read as to write.</summary>
    public static readonly RankWork Usual = Texts([512], 128);

    /// <summary>One pass.</summary>
    public static RankWork Of(PassShape pass) => new(pass.Rows == 1 ? "a token" : $"a pass of {pass.Rows} tokens", [(pass, 1)]);

    /// <summary>Prompts one after another, and tokens one by one.</summary>
    public static RankWork Texts(IReadOnlyList<int> prompts, int generated)
    {
        string read = prompts.Count == 0 ? "" : $"{(prompts.Count > 1 ? "prompts" : "a prompt")} of {string.Join(", ", prompts)} tokens";
        string written = generated == 0 ? "" : $"{generated} generated{(read.Length == 0 ? $" token{(generated > 1 ? "s" : "")}" : "")}";
        return new(read.Length > 0 && written.Length > 0 ? $"{read} and {written}" : read + written, [.. prompts.Select(Prompt), (PassShape.Token, generated)]);
    }

    private static (PassShape, int) Prompt(int tokens)
    {
        int passes = (tokens + Chunk - 1) / Chunk;
        return (new(tokens / passes, 1, 1), passes);
    }
}
