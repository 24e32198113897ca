using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Vision;
using DualSparse.Models.Pictures;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Cli.Commands;

/// <summary>
/// A conversation and its cache. The template writes all of it anew for each answer; of the tokens that are as before, the work is kept, so
/// that only new ones go through the model.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="template">How messages become a prompt.</param>
/// <param name="options">How answers are generated.</param>
internal sealed class Conversation(MoeModel model, ChatTemplate template, GenerationOptions options) : IDisposable
{
    private readonly List<(string Role, string Content, IReadOnlyList<PicturePatches> Pictures)> messages = [];
    private readonly List<PicturePatches> attached = [];

    /// <summary>The text's tokens, cache and drop.</summary>
    public Session Session { get; } = model.NewSession();

    /// <summary>What the model is told before all else; null: nothing.</summary>
    public string? System { get; set; }

    /// <summary>Messages of both sides so far.</summary>
    public int Messages => messages.Count;

    /// <summary>What is dropped, from the next answer on; with the loss to expect, null where it isn't known.</summary>
    /// <exception cref="ArgumentException">The model can't be run so.</exception>
    public ExpectedLoss? SetDrop(DropRequest request)
    {
        Session.Drop = request;
        return model.Transformer.Plan(request).Beforehand;
    }

    /// <summary>Puts a message to the model.</summary>
    /// <param name="text">The message.</param>
    /// <param name="cancel">Stops the answer.</param>
    /// <returns>The answer, as it is asked for; <see cref="Answered"/> adds it to the conversation.</returns>
    /// <exception cref="ArgumentException">The conversation doesn't fit the context, which then is as before.</exception>
    /// <exception cref="ChatTemplateException">The template refuses it.</exception>
    public Generation Ask(string text, CancellationToken cancel)
    {
        messages.Add(("user", text, [.. attached]));
        try
        {
            var rendered = template.Render(new ChatRequest { Messages = Written(), ReadsPictures = model.Config.Vision is not null });
            Session.Replace(PicturePrompt.Of(model.Config, model.Tokenizer.Encode(rendered), [.. messages.SelectMany(message => message.Pictures)], Session.ContextTokens));
            var answer = Session.Generate(options, cancel);
            attached.Clear();
            return answer;
        }
        catch
        {
            messages.RemoveAt(messages.Count - 1);
            throw;
        }
    }

    /// <summary>Adds the answer, as far as it went.</summary>
    public void Answered(string text) => messages.Add(("assistant", text, []));

    /// <summary>Forgets all but <see cref="System"/>.</summary>
    public void Reset()
    {
        messages.Clear();
        attached.Clear();
    }

    /// <summary>Puts a picture before the next message's text.</summary>
    public void Attach(PicturePatches picture) => attached.Add(picture);

    /// <summary>The same of a file.</summary>
    /// <exception cref="ArgumentException">The model reads text only; or the picture can't be read.</exception>
    /// <exception cref="Models.ModelFormatException">The model's folder doesn't say how pictures are read.</exception>
    public void Attach(string file) => Attach(model.ReadPicture(PictureFile.ReadBytes(file), file));

    /// <inheritdoc/>
    public void Dispose() => Session.Dispose();

    private JsonElement Written()
    {
        IEnumerable<(string Role, string Content, IReadOnlyList<PicturePatches> Pictures)> all = System is null ? messages : messages.Prepend(("system", System, []));
        return JsonSerializer.SerializeToElement(new JsonArray([.. all.Select(m => new JsonObject { ["role"] = m.Role, ["content"] = Content(m.Content, m.Pictures.Count) })]));
    }

    private static JsonNode Content(string text, int pictures)
    {
        if (pictures == 0)
            return text;
        var parts = new JsonArray([.. Enumerable.Range(0, pictures).Select(_ => new JsonObject { ["type"] = "image" })]);
        parts.Add(new JsonObject { ["type"] = "text", ["text"] = text });
        return parts;
    }
}
