using System.Text;
using DualSparse.Engine.Serving;

namespace DualSparse.Benchmarking.Serving;

/// <summary>A prompt: ids where the server takes them, else text.</summary>
internal readonly record struct ServePrompt(IReadOnlyList<int>? Ids, string? Text);

/// <summary>
/// Prompts of a wanted length, drawn from a text. Where the server tokenizes for others, as ours and vLLM do, a prompt has exactly so many
/// tokens (as messages about so many, since the template adds its own). Elsewhere a token counts as <see cref="CharactersPerToken"/> characters.
/// </summary>
internal sealed class PromptSource
{
    /// <summary>About what English text has with vocabularies of today.</summary>
    public const int CharactersPerToken = 4;

    // Common words make text that every tokenizer has tokens for.
    private static readonly string[] s_words =
        ("the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one you were her all she there would their we him been has when who "
        + "will more no if out so said what up its about into than them can only other new some could time these two may then do first any my now such like our over man me even most made after "
        + "also did many before must through years where much your way well down should because each just those people how too little state good very make world still own see men work long get "
        + "here between both life being under never day same another know while last might us great old year off come since against go came right used take three").Split(' ');

    private readonly ServeTarget target;
    private readonly string text;
    private readonly int[]? ids;

    private PromptSource(ServeTarget target, string text, int[]? ids) => (this.target, this.text, this.ids) = (target, text, ids);

    /// <summary>Whether lengths are the server's tokens; else characters.</summary>
    public bool ByTokens => ids is not null;

    /// <summary>Prepares prompts.</summary>
    /// <param name="target">The server.</param>
    /// <param name="text">What prompts are pieces of; null: words in a random order.</param>
    /// <param name="longest">The longest prompt, in tokens.</param>
    /// <param name="seed">Where drawing begins.</param>
    /// <param name="cancel">Cancels it.</param>
    public static async Task<PromptSource> CreateAsync(ServeTarget target, string? text, int longest, ulong seed, CancellationToken cancel)
    {
        // Enough for pieces that begin at many places, and so share nothing by chance.
        int wanted = Math.Max(4096, 2 * longest);
        text = Repeated(text is { Length: > 0 } ? text : Words(wanted, seed), wanted * CharactersPerToken);
        int[]? ids = await target.TokenizeAsync(text, cancel).ConfigureAwait(false);
        if (ids is { Length: 0 })
            ids = null;
        while (ids is not null && ids.Length < wanted)
            ids = [.. ids, .. ids];
        return new PromptSource(target, text, ids);
    }

    /// <summary>The prompt of a request.</summary>
    /// <param name="load">Lengths, and what is shared.</param>
    /// <param name="request">The request's number: each has its own prompt, and the same in every run with the same seed.</param>
    /// <param name="cancel">Cancels it.</param>
    public async Task<ServePrompt> TakeAsync(ServeLoad load, int request, CancellationToken cancel)
    {
        var random = new SplitMix64(load.Seed + 1 + (ulong)request);
        int own = load.PromptTokens - load.SharedPrefix, prefix = request % load.Prefixes;
        // Beginnings stand at places that only the seed and their number decide.
        var shared = new SplitMix64(~load.Seed - (ulong)prefix);
        if (ids is null)
            return new ServePrompt(null, Piece(shared.Next(), load.SharedPrefix) + Piece(random.Next(), own));
        int[] prompt = [.. Take(shared.Next(), load.SharedPrefix), .. Take(random.Next(), own)];
        return target.Chat ? new ServePrompt(null, await target.DetokenizeAsync(prompt, cancel).ConfigureAwait(false) ?? Piece(random.Next(), load.PromptTokens)) : new ServePrompt(prompt, null);
    }

    private int[] Take(ulong place, int count) => ids.AsSpan((int)(place % (ulong)(ids!.Length - count + 1)), count).ToArray();

    private string Piece(ulong place, int tokens)
    {
        int length = Math.Min(tokens * CharactersPerToken, text.Length);
        return text.Substring((int)(place % (ulong)(text.Length - length + 1)), length);
    }

    private static string Words(int count, ulong seed)
    {
        var random = new SplitMix64(seed);
        return string.Join(' ', Enumerable.Range(0, count).Select(_ => s_words[random.Next() % (ulong)s_words.Length]));
    }

    private static string Repeated(string text, int characters)
    {
        var all = new StringBuilder(text);
        while (all.Length < characters)
            all.Append(' ').Append(text);
        return all.ToString();
    }
}
