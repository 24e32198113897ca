namespace DualSparse.Training.Checking;

/// <summary>What of training an oracle's tensor shows.</summary>
internal enum OracleKind
{
    /// <summary>The logits of all windows.</summary>
    Logits,

    /// <summary>A part of the loss, or all of it.</summary>
    Loss,

    /// <summary>The gradient of a tensor.</summary>
    Gradient,

    /// <summary>The losses before each step of AdamW.</summary>
    StepLoss,

    /// <summary>A tensor after the steps.</summary>
    Step,
}
