namespace DualSparse.Models;

/// <summary>Which residual stream each half layer reads.</summary>
internal enum Wiring
{
    /// <summary>Each half layer reads what all before it have given.</summary>
    Standard,

    /// <summary>
    /// FarSkip-Collective (arXiv 2511.11505): attention reads the stream without the last layer's routed experts, and experts read it as it was before
    /// their layer's attention, so that rows travel beside attention and shared experts.
    /// </summary>
    FarSkip,
}
