// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IErc7992} from "./IErc7992.sol";

/// @title The registering half of the ERC-7992 draft
/// @notice The draft gives one name to an event and to an error, which Solidity does not take; the
/// error is `ModelRetired` here.
interface IErc7992Registry {
    event ModelRegistered(
        uint256 indexed modelId, address indexed owner, IErc7992.ModelCommitment commitment
    );
    event ModelUpdated(
        uint256 indexed modelId,
        IErc7992.ModelCommitment oldCommitment,
        IErc7992.ModelCommitment newCommitment
    );
    event ModelDeprecated(uint256 indexed modelId);

    /// @notice No model has this id.
    error ModelNotFound(uint256 modelId);
    /// @notice Only the model's owner may do this.
    error NotModelOwner(uint256 modelId, address caller);
    /// @notice The model takes no further version.
    error ModelRetired(uint256 modelId);

    /// @notice Register a model under the sender.
    function registerModel(IErc7992.ModelCommitment calldata commitment)
        external
        returns (uint256 modelId);

    /// @notice By the owner: add a version, which becomes the current one.
    function updateModel(uint256 modelId, IErc7992.ModelCommitment calldata newCommitment) external;

    /// @notice By the owner: recommend the model no more, for ever.
    function deprecateModel(uint256 modelId) external;

    /// @notice Current version of a model, whether it is retired, and whose it is.
    function getModel(uint256 modelId)
        external
        view
        returns (IErc7992.ModelCommitment memory commitment, bool deprecated, address owner);
}
