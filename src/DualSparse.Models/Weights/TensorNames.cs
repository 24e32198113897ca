namespace DualSparse.Models;

/// <summary>What families and programs name differently; the defaults are what most of them use.</summary>
internal sealed record TensorNames
{
    /// <summary>What stands before every name but the head's: of a model inside another it is longer, such as <c>model.language_model.</c>.</summary>
    public string Root { get; init; } = "model.";

    /// <summary>What stands before the names of the vision tower's tensors.</summary>
    public string Vision { get; init; } = "model.visual.";

    /// <summary>The head.</summary>
    public string Head { get; init; } = "lm_head.weight";

    /// <summary>The block that holds router and experts.</summary>
    public string Moe { get; init; } = "mlp";

    /// <summary>An expert's gate projection (W1).</summary>
    public string ExpertGate { get; init; } = "gate_proj";

    /// <summary>An expert's up projection (W3).</summary>
    public string ExpertUp { get; init; } = "up_proj";

    /// <summary>An expert's down projection (W2).</summary>
    public string ExpertDown { get; init; } = "down_proj";

    /// <summary>The shared expert.</summary>
    public string SharedExpert { get; init; } = "shared_expert";

    /// <summary>What weighs the shared expert.</summary>
    public string CombineGate { get; init; } = "shared_expert_gate";

    /// <summary>What stands between the block and an expert's number, or between the block and a projection of all experts.</summary>
    public string ExpertList { get; init; } = "experts";

    /// <summary>How routed experts are stored, which the checkpoint decides and not the family.</summary>
    public ExpertStorage Experts { get; init; }
}
