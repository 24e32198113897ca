using DualSparse.Engine;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Kernels.Packing;
using DualSparse.Models;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Server;

/// <summary>A model that is ready for requests.</summary>
internal sealed class ServedModel
{
    /// <summary>Takes a model and its scheduler.</summary>
    /// <param name="model">The model.</param>
    /// <param name="scheduler">What runs its requests.</param>
    /// <param name="options">How it is served.</param>
    public ServedModel(MoeModel model, Scheduler scheduler, ServerOptions options)
    {
        (Model, Scheduler) = (model, scheduler);
        Name = options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model.Transformer.Folder)));
        try
        {
            Template = model.ChatTemplate;
        }
        catch (Exception e) when (e is ChatTemplateException or ModelFormatException)
        {
            // All but conversations works without it.
            TemplateFault = e.Message;
        }

        Created = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        Dial = new Dial(model, Name, options);
        Fingerprint = $"dualsparse-{typeof(ServedModel).Assembly.GetName().Version!.ToString(3)}-{model.Report.Kernel}-{WeightFormats.Of(model.Report.Weights).Name}{Balance(options.Engine)}";
    }

    /// <summary>The model.</summary>
    public MoeModel Model { get; }

    /// <summary>What runs its requests.</summary>
    public Scheduler Scheduler { get; }

    /// <summary>Its id.</summary>
    public string Name { get; }

    /// <summary>How it wants a conversation written; null: it doesn't say, or can't.</summary>
    public ChatTemplate? Template { get; }

    /// <summary>Why the template that it has can't be used; null: it can, or there is none.</summary>
    public string? TemplateFault { get; }

    /// <summary>When it was loaded, in seconds since 1970.</summary>
    public long Created { get; }

    /// <summary>What requests drop.</summary>
    public Dial Dial { get; }

    /// <summary>What a text depends on beside the request: the same seed gives the same text where this is the same.</summary>
    public string Fingerprint { get; }

    // Ranks add their sums in their order: another number of them rounds otherwise.
    private static string Balance(EngineOptions engine) => engine.Ranks == 1 ? "" : $"-ranks{engine.Ranks}";
}
