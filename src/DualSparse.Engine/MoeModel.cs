using DualSparse.Engine.Serving;
using DualSparse.Engine.Vision;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Text;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Engine;

/// <summary>
/// A language model loaded from a folder: weights, tokenizer and generation defaults. The entry point of the library. Its sessions may be
/// used from several threads; their passes through the model run one after another.
/// </summary>
public sealed class MoeModel : IDisposable
{
    private readonly Lazy<ChatTemplate?> chatTemplate;
    private readonly Lazy<PictureProcessor> pictures;
    private readonly PictureMemory seen = new();

    private MoeModel(Transformer transformer, Tokenizer tokenizer, Lazy<ChatTemplate?> chatTemplate, int chunkTokens)
    {
        (Transformer, Tokenizer, this.chatTemplate, ChunkTokens) = (transformer, tokenizer, chatTemplate, chunkTokens);
        pictures = new(() => PictureProcessor.Load(transformer.Folder, Config.Vision ?? throw PicturePrompt.TextOnly(Config)));
    }

    /// <summary>The weights and the forward pass; guarded by <see cref="ForwardLock"/>.</summary>
    internal Transformer Transformer { get; }

    /// <summary>The tokenizer: text to ids and back.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>How the model wants a conversation written: the template that <see cref="EngineOptions.ChatTemplate"/> names, else the folder's; null where there is none.</summary>
    /// <exception cref="ChatTemplateException">The folder's can't be parsed. All else works without it.</exception>
    /// <exception cref="ModelFormatException">The file that holds it is damaged.</exception>
    public ChatTemplate? ChatTemplate => chatTemplate.Value;

    /// <summary>The longest context, in tokens: max_position_embeddings of the checkpoint.</summary>
    public int ContextTokens => Config.MaxPositions;

    /// <summary>What the folder's files say that isn't followed, or that they disagree on, a sentence each; usually none.</summary>
    public IReadOnlyList<string> Notes => [.. Transformer.Notes, .. Tokenizer.Notes, .. Config.Generation.Notes];

    /// <summary>The model's configuration.</summary>
    internal ModelConfig Config => Transformer.Config;

    /// <summary>The time and memory that loading took.</summary>
    public LoadReport Report => Transformer.Report;

    /// <summary>The checkpoint's defaults for generation.</summary>
    /// <exception cref="ModelFormatException">It wants what isn't implemented, such as beams, or its generation_config.json can't be read. Options of one's own are still followed.</exception>
    public GenerationOptions Defaults => GenerationOptions.From(Config.Generation);

    /// <summary>The most tokens of a prompt in one pass.</summary>
    internal int ChunkTokens { get; }

    /// <summary>Whether the model has been disposed.</summary>
    internal bool Disposed { get; private set; }

    /// <summary>Held during a pass and while its logits are read.</summary>
    internal Lock ForwardLock { get; } = new();

    /// <summary>Loads a Hugging Face folder.</summary>
    /// <param name="folder">config.json, safetensors, tokenizer.json and, if there is one, generation_config.json.</param>
    /// <param name="options">Weights, threads, kernels.</param>
    /// <param name="progress">Receives the bytes read.</param>
    /// <param name="cancel">Cancels between two tensors.</param>
    /// <exception cref="ModelFormatException">The folder is damaged, not implemented, or larger than the memory that is free.</exception>
    /// <exception cref="ArgumentException">An option is out of its range or doesn't fit this model.</exception>
    /// <exception cref="ChatTemplateException">The chat template that <paramref name="options"/> name can't be parsed.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static MoeModel Load(string folder, EngineOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancel = default)
    {
        options ??= new EngineOptions();
        if (options.ChunkTokens < 1)
            throw new ArgumentOutOfRangeException(nameof(options), $"ChunkTokens is {options.ChunkTokens}, expected at least 1");
        folder = ModelPath.Resolve(folder);
        // Better said now than after the weights are loaded.
        Tokenizer.FileIn(folder);
        // One that somebody names is read at once; a folder's is needed only for conversations.
        var named = options.ChatTemplate is { } file ? ChatTemplate.Read(file, folder) : null;
        var chatTemplate = new Lazy<ChatTemplate?>(() => named ?? ChatTemplate.Find(folder));
        // The tokenizer is read while the weights are packed: for a small model it takes the longer of the two.
        var tokenizer = Task.Run(() => Tokenizer.Load(folder));
        var transformer = Transformer.Load(folder, options, progress, cancel);
        try
        {
            return new MoeModel(transformer, tokenizer.GetAwaiter().GetResult(), chatTemplate, options.ChunkTokens);
        }
        catch
        {
            transformer.Dispose();
            throw;
        }
    }

    /// <summary>Starts an empty conversation.</summary>
    /// <param name="contextTokens">The most tokens that it can hold; null: the model's longest context. Memory is allocated as the text grows; whether it is free is checked each time, and for a number given here at once.</param>
    /// <exception cref="ArgumentException">More than the model's longest context, or less than one.</exception>
    /// <exception cref="InsufficientMemoryException">The keys and values of <paramref name="contextTokens"/> tokens need more memory than is free.</exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public Session NewSession(int? contextTokens = null)
    {
        ObjectDisposedException.ThrowIf(Disposed, this);
        return new Session(this, contextTokens);
    }

    /// <summary>A picture as the model reads it.</summary>
    /// <param name="file">A PNG or JPEG file's bytes.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="ArgumentException">The model reads text only; or the picture is damaged, too large, or of a kind that isn't read.</exception>
    /// <exception cref="ModelFormatException">The model's folder doesn't say how pictures are read.</exception>
    internal PicturePatches ReadPicture(byte[] file, string name)
    {
        // One at a time: a picture may take some hundred megabytes while it is decoded.
        lock (pictures)
            return pictures.Value.Patches(PictureFile.Decode(file, name), name);
    }

    /// <summary>Where a prompt's tokens stand for pictures, which go through the tower unless they have lately; null where there are none.</summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    internal TextPictures? Place(PicturePrompt prompt)
    {
        if (prompt.Pictures.Count == 0)
            return null;
        lock (ForwardLock)
        {
            ObjectDisposedException.ThrowIf(Disposed, this);
            return TextPictures.Of(prompt.Ids, Config.Vision!.ImageToken, [.. prompt.Pictures.Select(picture => seen.Get(picture, Transformer.Encode))]);
        }
    }

    /// <summary>Frees weights and threads; sessions must not be used any more.</summary>
    public void Dispose()
    {
        lock (ForwardLock)
        {
            Disposed = true;
            Transformer.Dispose();
        }
    }
}
