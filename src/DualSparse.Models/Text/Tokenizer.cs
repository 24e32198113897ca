using System.Text;
using DualSparse.Kernels.Memory;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Models.Text;

/// <summary>
/// Text becomes ids and ids become text, as a tokenizer.json says (byte-pair encoding, byte-level or with byte fallback).
/// Immutable, safe for several threads.
/// </summary>
public sealed class Tokenizer
{
    private const string FileName = "tokenizer.json";

    // The largest in use are 35 MB.
    private const long MaxFileBytes = 1L << 29;

    private readonly Vocabulary vocabulary;
    private readonly HashSet<int> special = [];
    private readonly Normalizer normalizer;
    private readonly AddedTokens rawTokens;
    private readonly AddedTokens normalizedTokens;
    private readonly PreTokenizer preTokenizer;
    private readonly Bpe model;
    private readonly PostProcessor postProcessor;

    // What tokens become, by entry of the vocabulary, kept once it was asked for.
    private readonly string?[] texts;
    private readonly byte[]?[] bytes;

    private Tokenizer(TokenizerJson json, TokenizerConfig? config)
    {
        vocabulary = json.Vocabulary;
        normalizer = Normalizer.Read(json.Section("normalizer"));
        preTokenizer = PreTokenizer.Read(json.Section("pre_tokenizer"), config?.AddPrefixSpace);
        Decoder = TokenDecoder.Read(json.Section("decoder"));
        model = new Bpe(vocabulary, json.Merges, json.Options, preTokenizer.ByteLevel, special.Contains);
        List<AddedToken> added = AddedTokenReader.Read(json.Section("added_tokens"), vocabulary);
        config?.Complete(added, vocabulary);
        special.UnionWith(added.Where(token => token.Special).Select(token => token.Id));
        rawTokens = new(added.Where(token => !token.Normalized).Select(token => (token.Content, token)));
        normalizedTokens = new(added.Where(token => token.Normalized).Select(token => (normalizer.Apply(token.Content), token)));
        var own = PostProcessor.Read(json.Section("post_processor"), vocabulary);
        List<string> notes = [];
        postProcessor = config?.Around(own, vocabulary, notes) ?? own;
        if (config?.AddPrefixSpace is bool wanted && wanted != StartsWithSpace())
            notes.Add($"tokenizer_config.json has add_prefix_space {(wanted ? "true" : "false")}: tokenizer.json is followed, which says otherwise");
        Notes = notes;
        (texts, bytes) = (new string?[vocabulary.Count], new byte[]?[vocabulary.Count]);
    }

    /// <summary>One past the highest id. A model's output may be wider (padded).</summary>
    public int VocabularySize => vocabulary.Size;

    /// <summary>Sentences about what was followed where the folder's files disagree.</summary>
    public IReadOnlyList<string> Notes { get; }

    /// <summary>How ids become text.</summary>
    internal TokenDecoder Decoder { get; }

    /// <summary>Reads a tokenizer.json and, where a folder is given, the tokenizer_config.json beside it.</summary>
    /// <param name="folderOrTokenizerJson">The folder; or the file alone, which then says everything.</param>
    /// <exception cref="ModelFormatException">There is none, it is damaged, or it has a part that isn't implemented.</exception>
    public static Tokenizer Load(string folderOrTokenizerJson)
    {
        ArgumentException.ThrowIfNullOrEmpty(folderOrTokenizerJson);
        bool folder = Directory.Exists(folderOrTokenizerJson);
        string path = folder ? FileIn(folderOrTokenizerJson) : folderOrTokenizerJson;
        TokenizerConfig? config = folder ? TokenizerConfig.Read(Path.GetDirectoryName(path)!) : null;
        try
        {
            using var map = new MappedFile(path);
            return map.Length <= MaxFileBytes
                ? Parse(map.Span(0, (int)map.Length), path, config)
                : throw new ModelFormatException($"{path} has {map.Length} bytes, expected at most {MaxFileBytes}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    /// <summary>A folder's tokenizer.json.</summary>
    /// <exception cref="ModelFormatException">There is none; the message says what there is instead.</exception>
    internal static string FileIn(string folder)
    {
        folder = ModelPath.Follow(folder);
        string path = Path.Combine(folder, FileName);
        return ModelFile.Exists(path) ? path : throw new ModelFormatException($"{folder}: {FolderKind.WithoutTokenizer(new FolderContents(folder))}");
    }

    /// <summary>Reads the contents of a tokenizer.json.</summary>
    /// <param name="utf8Json">The contents.</param>
    /// <param name="file">What messages call it.</param>
    /// <exception cref="ModelFormatException">It is damaged or has a part that isn't implemented.</exception>
    public static Tokenizer Parse(ReadOnlySpan<byte> utf8Json, string file = FileName) => Parse(utf8Json, file, null);

    private static Tokenizer Parse(ReadOnlySpan<byte> utf8Json, string file, TokenizerConfig? config)
    {
        try
        {
            return new(TokenizerJson.Read(utf8Json, file), config);
        }
        catch (InvalidOperationException e)
        {
            // The JSON reader's word for an escaped surrogate without its other half.
            throw new ModelFormatException($"{file} holds a string that is not valid Unicode", e);
        }
    }

    /// <summary>Encodes a text. An unpaired surrogate counts as U+FFFD.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecial">With the special ids that the post-processor puts around a text.</param>
    /// <param name="allowSpecial">Special tokens written in the text become their ids; false for text that isn't trusted: they are
    /// then spelled out like other text.</param>
    /// <returns>The ids.</returns>
    /// <exception cref="ModelFormatException">A split pattern takes longer than any sane one.</exception>
    public int[] Encode(string text, bool addSpecial = true, bool allowSpecial = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Encode(text, addSpecial, allowSpecial ? TokenTrust.All : TokenTrust.NoSpecial);
    }

    /// <summary>
    /// Encodes a rendered conversation. Special tokens become their ids only where the template wrote them: in messages, tools and variables they
    /// are spelled out like other text, and so is markup of the template that isn't special, such as <c>&lt;tool_call&gt;</c>, but in an assistant's messages.
    /// All else is as in the text alone. Nothing is put around it: that is the template's.
    /// </summary>
    /// <param name="chat">The conversation.</param>
    /// <returns>The ids.</returns>
    /// <exception cref="ModelFormatException">A split pattern takes longer than any sane one.</exception>
    public int[] Encode(RenderedChat chat)
    {
        ArgumentNullException.ThrowIfNull(chat);
        return Encode(chat.Text, addSpecial: false, new TokenTrust(chat));
    }

    private int[] Encode(string text, bool addSpecial, TokenTrust trust)
    {
        text = Sanitize(text);
        List<int> ids = [];
        if (addSpecial)
        {
            ids.AddRange(postProcessor.Prefix);
        }

        List<ReadOnlyMemory<char>> words = [];
        foreach ((int start, int end, int id) in rawTokens.Split(text, trust))
        {
            if (id >= 0)
            {
                ids.Add(id);
                continue;
            }

            string section = normalizer.Apply(start == 0 && end == text.Length ? text : text[start..end]);
            EncodeNormalized(section, start == 0, trust.Within(text, start, end, section, normalizer), words, ids);
        }

        if (addSpecial)
        {
            ids.AddRange(postProcessor.Suffix);
        }

        return [.. ids];
    }

    /// <summary>Decodes a sequence of ids; one that no token has says nothing.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="skipSpecial">Special tokens give no text.</param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false) => new StreamingDecoder(this, skipSpecial).Decode(ids);

    /// <summary>Whether <paramref name="id"/> is that of a special token.</summary>
    public bool IsSpecial(int id) => special.Contains(id);

    /// <summary>The token of <paramref name="id"/> as the file writes it; null where no token has this id.</summary>
    public string? TokenText(int id) => vocabulary.Entry(id) is int entry and >= 0 ? texts[entry] ??= vocabulary.Token(id) : null;

    /// <summary>The id of the token that the file writes so; null where there is none.</summary>
    public int? IdOf(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return vocabulary.Id(token) is int id and >= 0 ? id : null;
    }

    /// <summary>
    /// The UTF-8 bytes that the token of <paramref name="id"/> adds to a text in its middle: a leading space is there, and half a character is the
    /// bytes it consists of. Empty where no token has this id.
    /// </summary>
    public byte[] BytesOf(int id)
    {
        if (Decoder.ByteLevel)
            return TokenBytes(id) is { } known ? [.. known] : [];
        return TokenText(id) is { } token ? Decoder.BytesOf(token) : [];
    }

    /// <summary>The bytes that a byte-level token stands for; null where no token has this id.</summary>
    internal byte[]? TokenBytes(int id) => vocabulary.Entry(id) is int entry and >= 0 ? bytes[entry] ??= ByteAlphabet.ToBytes(vocabulary.Token(id)!) : null;

    // Whether a text that starts with a letter gets anything before it.
    private bool StartsWithSpace()
    {
        List<ReadOnlyMemory<char>> words = [];
        preTokenizer.Split(normalizer.Apply("a"), atStart: true, words);
        return string.Concat(words) != "a";
    }

    private void EncodeNormalized(string section, bool atStart, TokenTrust trust, List<ReadOnlyMemory<char>> words, List<int> ids)
    {
        foreach ((int start, int end, int id) in normalizedTokens.Split(section, trust))
        {
            if (id >= 0)
            {
                ids.Add(id);
                continue;
            }

            words.Clear();
            string part = start == 0 && end == section.Length ? section : section[start..end];
            preTokenizer.Split(part, atStart && start == 0, words);
            foreach (ReadOnlyMemory<char> word in words)
            {
                model.Encode(word.Span, ids);
            }
        }
    }

    private static string Sanitize(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
        {
            return text;
        }

        // The runes of a string have U+FFFD for what isn't paired.
        var valid = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            valid.Append(rune);
        }

        return valid.ToString();
    }
}
